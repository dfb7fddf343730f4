// Fills the explorer and the two look-ups from the rows that the page carries. Charts are Vega-Lite's (specifications
// by Altair), the table is DataTables': here is only which rows are chosen.

const settings = JSON.parse(document.getElementById("settings").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const form = document.getElementById("choices");

const TABLES = {
  time: { ys: ["seconds", "speedup", "multiple"], panel: "phase", told: "Times: a row is a cell's phase" },
  error: { ys: ["value"], panel: "tensor", told: "Errors: a row is one figure" },
  memory: { ys: ["peak_bytes", "min_bytes"], panel: "phase", told: "Memory: a row is a cell's phase" },
  rounds: { ys: ["seconds"], xs: ["round", "launch"], panel: "phase", told: "Raw rounds: a row is one block" },
  verdicts: { ys: ["ratio"], xs: ["method"], panel: "kind", told: "Verdicts: a row is a quantity" },
};
const TITLES = {
  n: "n (length of y)", k: "k (how many are kept)", seconds: "seconds a call", speedup: "speed-up over native",
  multiple: "time / time of one read of y", peak_bytes: "peak bytes", min_bytes: "least bytes", ratio: "head / base",
};
const BANDS = {
  seconds: "line is the median block, the bands hold 90 % of the blocks", speedup: "bands are 95 % intervals over launches",
  multiple: "bands are 95 % intervals over launches", peak_bytes: "bands are the range over launches", ratio: "bars are 95 % intervals",
};
const FIGURES = ["case", "seconds", "speedup", "multiple", "peak_bytes", "min_bytes", "value", "ratio", "base", "head", "detectable",
  "reason", "device_seconds", "blocks", "launches", "calls", "spread", "error", "freedom", "effect"];
const PREFERRED = { dtype: "float32", metric: "rel_l2", reference: "exact", of: "method", launch: "1" };
const KEPT_WHOLE = ["method", "phase", "tensor", "round"];
const MOST_DRAWN = 20000;   // points: more would make the browser slow
const MANY_POINTS = 1500;   // from here on the chart is a bitmap
const FEW_TICKS = 8;
const UNITS = ["seconds", "peak_bytes", "min_bytes"];   // told with prefixes: 20µ, 4M
const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7A5195", "#999999"];

// ---- the rows ----------------------------------------------------------------------------------------------------

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const at = (column, place) => (Array.isArray(column) ? column[place] : column.words[column.at[place]]);
const size = (columns) => { const first = Object.values(columns)[0]; return (first.words ? first.at : first).length; };

function rowsOf(run, name) {
  run.cache ??= {};
  return (run.cache[name] ??= Array.from({ length: size(run.tables[name]) }, (_, place) => {
    const row = {};
    const cell = at(run.tables[name].cell, place);
    for (const [column, values] of Object.entries(run.cells)) row[column] = at(values, cell);
    for (const [column, values] of Object.entries(run.tables[name])) if (column !== "cell") row[column] = at(values, place);
    return row;
  }));
}

function distinct(rows, column) {
  const found = [...new Set(rows.map((row) => row[column]))].filter((value) => value !== null && value !== undefined);
  return found.sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
}

// ---- what is chosen: the hash of the address says what differs from the defaults ----------------------------------

function columnsOf(run, table) {
  const bands = (name) => /_(low|high)$/.test(name) || ["low", "high"].includes(name);
  const all = [...Object.keys(run.cells), ...Object.keys(run.tables[table]).filter((name) => name !== "cell")];
  return all.filter((name) => !bands(name) && !FIGURES.includes(name));
}

function defaults(run, table) {
  const rows = rowsOf(run, table);
  const varying = columnsOf(run, table).filter((name) => distinct(rows, name).length > 1);
  const { ys, xs, panel } = TABLES[table];
  const x = [...(xs ?? []), "n", "k", ...varying].find((name) => varying.includes(name)) ?? "n";
  const verdicts = table === "verdicts";
  return {
    table, varying, x, y: ys.find((name) => run.tables[table][name]) ?? ys[0],
    colour: verdicts ? "verdict" : "method", panel: varying.includes(panel) ? panel : "",
    logx: !xs && typeof rows[0]?.[x] === "number", logy: !verdicts, band: true, show: {},
  };
}

function isWhole({ table, x, colour, panel }, name) {
  return table === "verdicts" || [x, colour, panel, ...KEPT_WHOLE].includes(name);
}

function preset(rows, name) {
  const values = distinct(rows, name).map(String);
  return values.includes(PREFERRED[name]) ? PREFERRED[name] : values[Math.floor(values.length / 2)];
}

function chosenFrom(address, payload) {
  const asked = new URLSearchParams(address.replace(/^#/, ""));
  const place = Math.min(Math.max(0, Number(asked.get("run")) || 0), payload.runs.length - 1);
  const run = payload.runs[place];
  const table = run.tables[asked.get("table")] ? asked.get("table") : Object.keys(TABLES).find((name) => run.tables[name]);
  if (!table) return null;
  const chosen = { place, run, ...defaults(run, table) };
  const columns = columnsOf(run, table);
  for (const name of ["x", "colour"]) if (columns.includes(asked.get(name))) chosen[name] = asked.get(name);
  if (asked.has("panel")) chosen.panel = columns.includes(asked.get("panel")) ? asked.get("panel") : "";
  if (TABLES[table].ys.includes(asked.get("y")) && run.tables[table][asked.get("y")]) chosen.y = asked.get("y");
  for (const name of ["logx", "logy", "band"]) if (asked.has(name)) chosen[name] = asked.get(name) === "1";
  const rows = rowsOf(run, table);
  for (const name of chosen.varying) {
    const all = distinct(rows, name).map(String);
    const wanted = asked.getAll(name).filter((value) => all.includes(value));
    chosen.show[name] = asked.has(name) ? wanted : isWhole(chosen, name) ? all : [preset(rows, name)];
  }
  return chosen;
}

function addressOf(chosen) {
  const told = new URLSearchParams();
  told.set("run", chosen.place);
  for (const name of ["table", "x", "y", "colour", "panel"]) told.set(name, chosen[name]);
  for (const name of ["logx", "logy", "band"]) told.set(name, chosen[name] ? "1" : "0");
  const rows = rowsOf(chosen.run, chosen.table);
  for (const name of chosen.varying) {
    const all = distinct(rows, name);
    if (chosen.show[name].length < all.length) for (const value of chosen.show[name].length ? chosen.show[name] : [""]) told.append(name, value);
    else if (!isWhole(chosen, name)) for (const value of all) told.append(name, value);
  }
  return `#${told}`;
}

function shownRows(chosen) {
  const wanted = Object.entries(chosen.show).map(([name, values]) => [name, new Set(values)]);
  return rowsOf(chosen.run, chosen.table).filter((row) => wanted.every(([name, values]) => values.has(String(row[name]))));
}

// ---- the form ----------------------------------------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
}

function select(name, label, options, value) {
  const made = options.map(([key, text]) => element("option", { value: key, selected: String(key) === String(value) }, text));
  return element("label", {}, label, element("select", { name }, ...made));
}

function check(name, value, label, checked) {
  return element("label", { class: "check" }, element("input", { type: "checkbox", name, value, checked }), label);
}

function showForm(chosen, payload) {
  const { run, table } = chosen;
  const columns = columnsOf(run, table).map((name) => [name, name]);
  const figures = TABLES[table].ys.filter((name) => run.tables[table][name]).map((name) => [name, name]);
  const picks = element("div", { class: "picks" },
    select("run", "run", payload.runs.map((each, place) => [place, each.label]), chosen.place),
    select("table", "rows", Object.keys(TABLES).filter((name) => run.tables[name]).map((name) => [name, TABLES[name].told]), table),
    select("y", "figure", figures, chosen.y), select("x", "against", columns, chosen.x),
    select("colour", "colour", columns, chosen.colour), select("panel", "panels", [["", "none"], ...columns], chosen.panel),
    check("logx", "1", "log of the axis", chosen.logx), check("logy", "1", "log of the figure", chosen.logy),
    check("band", "1", "bands and intervals", chosen.band));
  const rows = rowsOf(run, table);
  const filters = chosen.varying.map((name) => {
    const boxes = distinct(rows, name).map((value) => check(`show.${name}`, value, String(value) || "(none)", chosen.show[name].includes(String(value))));
    const all = element("button", { type: "button", class: "all", "data-axis": name, "aria-label": `all of ${name}, or the first` }, "all");
    return element("fieldset", { class: boxes.length > 24 ? "long" : "" }, element("legend", {}, name), ...boxes, all);
  });
  form.replaceChildren(picks, ...filters);
}

function readForm(chosen) {
  const data = new FormData(form);
  const told = new URLSearchParams();
  for (const name of ["run", "table", "x", "y", "colour", "panel"]) told.set(name, data.get(name));
  for (const name of ["logx", "logy", "band"]) told.set(name, data.has(name) ? "1" : "0");
  const moved = Number(data.get("run")) !== chosen.place || data.get("table") !== chosen.table;
  if (moved) return `#${new URLSearchParams([["run", data.get("run")], ["table", data.get("table")]])}`;
  const roles = ["x", "colour", "panel"];
  for (const name of chosen.varying) {
    const values = data.getAll(`show.${name}`);
    const freed = roles.some((role) => data.get(role) === name && chosen[role] !== name);
    if (freed) for (const value of distinct(rowsOf(chosen.run, chosen.table), name)) told.append(name, value);
    else for (const value of values.length ? values : [""]) told.append(name, value);
  }
  return `#${told}`;
}

// ---- the chart ---------------------------------------------------------------------------------------------------

const onDark = (colour) => (dark.matches ? settings.on_dark[colour] ?? colour : colour);
const accessor = (name) => name.replace(/[\\.[\]]/g, "\\$&");

function looks(column, values) {
  const own = settings.colours[column] ?? {};
  const fallback = (place) => (column === "method" ? settings.other : PALETTE[place % PALETTE.length]);
  const colours = values.map((value, place) => onDark(own[value]?.[0] ?? fallback(place)));
  const shapes = values.map((value) => own[value]?.[1] ?? "circle");
  return { colours, shapes };
}

function chartRows(chosen, rows) {
  const { x, y, colour, panel } = chosen;
  const [low, high] = chosen.table === "verdicts" ? ["low", "high"] : [`${y}_low`, `${y}_high`];
  const rest = chosen.varying.filter((name) => ![x, panel].includes(name));
  const fits = (value) => typeof value === "number" && (!chosen.logy || value > 0);
  return rows.filter((row) => fits(row[y])).map((row) => ({
    ...row, x: row[x], y: row[y], colour: String(row[colour]), panel: panel ? String(row[panel]) : "",
    series: rest.map((name) => row[name]).join(" "),
    low: fits(row[low]) ? row[low] : null, high: fits(row[high]) ? row[high] : null,
  }));
}

function specOf(chosen, rows, columns) {
  const spec = structuredClone(settings.explorer);
  const numeric = rows.every((row) => typeof row.x === "number");
  const values = distinct(rows, "colour").sort((a, b) => (isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b));
  const { colours, shapes } = looks(chosen.colour, values);
  const logx = numeric && chosen.logx && rows.every((row) => row.x > 0);
  const places = [...new Set(rows.map((row) => row.x))];
  const ticks = numeric && places.length <= FEW_TICKS ? { values: places, format: places.every(Number.isInteger) ? "d" : "~g" } : {};
  const [band, bars, line, points] = spec.spec.layer;
  for (const layer of spec.spec.layer) {
    const { encoding } = layer;
    Object.assign(encoding.x, { type: numeric ? "quantitative" : "nominal", title: TITLES[chosen.x] ?? chosen.x, scale: logx ? { type: "log", base: 2 } : numeric ? { zero: false } : {}, axis: ticks });
    Object.assign(encoding.y, { title: TITLES[chosen.y] ?? chosen.y, axis: { format: UNITS.includes(chosen.y) ? "~s" : "~g" }, scale: chosen.logy ? { type: "log" } : { zero: false } });
    const legend = { symbolOpacity: 1 };
    Object.assign(encoding.color, { title: chosen.colour, scale: { domain: values, range: colours }, legend });
    if (encoding.shape) Object.assign(encoding.shape, { title: chosen.colour, scale: { domain: values, range: shapes }, legend });
    encoding.tooltip = columns.map((name) => ({ field: accessor(name), title: name }));
  }
  const lined = !["rounds", "verdicts"].includes(chosen.table) && rows.length > 0;
  const banded = chosen.table !== "rounds" && chosen.band && rows.some((row) => row.low !== null);
  for (const layer of [band, bars]) layer.transform = [{ filter: "datum.low !== null" }];
  spec.spec.layer = [...(banded && lined && numeric ? [band] : []), ...(banded ? [bars] : []), ...(lined ? [line] : []), points];
  const room = document.getElementById("chart").clientWidth;
  spec.columns = Math.max(1, Math.floor(room / (spec.spec.width + 70)));
  spec.spec.width = Math.min(spec.spec.width, Math.max(140, room - 130));
  if (!chosen.panel) Object.assign(spec.spec, { width: Math.max(140, Math.min(620, room - 150)), height: 300 });
  spec.data = { values: rows };
  delete spec.datasets;
  spec.description = `${chosen.y} against ${chosen.x} of ${rows.length} rows, coloured by ${chosen.colour}`;
  return spec;
}

const LOOK = { actions: false, ast: true, tooltip: { theme: "custom" } };

const pointsOf = (spec) => Object.values(spec.datasets ?? {}).reduce((sum, rows) => sum + rows.length, 0);

async function draw(target, spec, points = pointsOf(spec)) {
  target.vega?.finalize();
  const themed = dark.matches ? { ...spec, config: { ...spec.config, ...settings.dark } } : spec;
  target.vega = await window.vegaEmbed(target, themed, { ...LOOK, renderer: points > MANY_POINTS ? "canvas" : "svg" });
}

// ---- the table ---------------------------------------------------------------------------------------------------

let table = null;
const escaped = (value) => (value === null || value === undefined ? "" : String(value).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`));

function showTable(DataTable, rows, columns) {
  table?.destroy();
  document.getElementById("rows").replaceChildren();
  table = new DataTable("#rows", {
    data: rows, deferRender: true, pageLength: 10, autoWidth: false,
    columns: columns.map((name) => ({
      title: escaped(name), data: (row) => row[name] ?? null, render: { display: escaped },
      visible: name !== "case" && (rows.length < 2 || rows.some((row) => row[name] !== rows[0][name])),
    })),
    order: [],
    layout: { topStart: { buttons: [
      { extend: "csv", text: "Download the shown rows (CSV)", filename: "rows" }, { extend: "colvis", text: "Columns" },
    ] } },
    language: { search: "Search in these rows:" },
  });
}

// ---- which method for a size ---------------------------------------------------------------------------------------

function showLookUp(place, run, target) {
  const rows = rowsOf(run, "time").filter((row) => typeof row.speedup === "number" && settings.phases.includes(row.phase));
  const axes = Object.keys(run.cells).filter((name) => !["case", "method"].includes(name) && distinct(rows, name).length > 1);
  const fields = axes.map((name) => select(name, name, distinct(rows, name).map((value) => [value, String(value)]), preset(rows, name)));
  const asked = element("form", { class: "picks", "aria-label": `a case of ${run.label}` }, ...fields);
  const answer = element("div", { "aria-live": "polite" });
  const update = () => {
    const data = new FormData(asked);
    const here = rows.filter((row) => axes.every((name) => String(row[name]) === data.get(name)));
    const cells = settings.phases.filter((phase) => here.some((row) => row.phase === phase)).map((phase) => {
      const ranked = here.filter((row) => row.phase === phase && !settings.relaxations.includes(row.method)).sort((a, b) => b.speedup - a.speedup);
      const items = ranked.map((row) => element("li", {}, element("b", {}, row.method), ` ${ratio(row)}, ${time(row.seconds)}`));
      return element("section", {}, element("h4", {}, phase), element("ol", {}, ...items));
    });
    answer.replaceChildren(...(cells.length ? [element("div", { class: "columns" }, ...cells)] : [element("p", {}, "This case was not measured.")]));
  };
  asked.addEventListener("change", update);
  asked.addEventListener("submit", (event) => event.preventDefault());
  target.replaceChildren(asked, answer);
  update();
}

function ratio(row) {
  const short = (value) => Number(value.toPrecision(3)).toString();
  if (row.method === "native") return "1x";
  const known = typeof row.speedup_low === "number";
  return `${short(row.speedup)}x${known ? ` (${short(row.speedup_low)} to ${short(row.speedup_high)})` : " (one launch: no interval)"}`;
}

function time(seconds) {
  const [unit, factor] = seconds < 1e-3 ? ["µs", 1e6] : seconds < 1 ? ["ms", 1e3] : ["s", 1];
  return `${Number((seconds * factor).toPrecision(3))} ${unit}`;
}

// ---- the page ----------------------------------------------------------------------------------------------------

async function start() {
  const source = new Blob([document.getElementById("datatables").textContent], { type: "text/javascript" });
  const [library, payload] = await Promise.all([import(URL.createObjectURL(source)), unpack(document.getElementById("payload").textContent)]);
  const DataTable = library.default;
  let chosen;

  const show = async (form = true) => {
    chosen = chosenFrom(location.hash, payload);
    if (!chosen) return;
    const rows = shownRows(chosen);
    const columns = [...Object.keys(chosen.run.cells), ...Object.keys(chosen.run.tables[chosen.table]).filter((name) => name !== "cell")];
    if (form) showForm(chosen, payload);
    const fitting = chartRows(chosen, rows);
    const drawn = fitting.slice(0, MOST_DRAWN);
    tell(chosen, rows, fitting, drawn);
    showTable(DataTable, rows, columns);
    await draw(document.getElementById("chart"), specOf(chosen, drawn, columns), drawn.length);
  };

  const go = (address) => { history.replaceState(null, "", address); document.getElementById("link").href = address; };
  form.addEventListener("change", async (event) => {
    go(readForm(chosen));
    const name = event.target.name;
    await show(["run", "table", "x", "colour", "panel"].includes(name));
    if (!event.target.isConnected) form.elements[name]?.focus?.();
  });
  form.addEventListener("click", async (event) => {
    const { axis } = event.target.dataset;
    if (!axis) return;
    const boxes = [...form.querySelectorAll("input")].filter((box) => box.name === `show.${axis}`);
    const every = boxes.every((box) => box.checked);
    boxes.forEach((box, place) => { box.checked = !every || place === 0; });
    go(readForm(chosen));
    await show(false);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => { if (location.hash.includes("run=")) show(); });
  const drawAll = () => Promise.all([...document.querySelectorAll("[data-spec]")].map((target) => draw(target, settings.charts[target.dataset.spec])));
  const shade = () => document.documentElement.classList.toggle("dark", dark.matches);
  shade();
  dark.addEventListener("change", () => { shade(); drawAll(); show(false); });
  for (const target of document.querySelectorAll("[data-lookup]")) showLookUp(target.dataset.lookup, payload.runs[target.dataset.lookup], target);
  await drawAll();
  await show();
  document.documentElement.dataset.ready = "yes";
}

function tell(chosen, rows, fitting, drawn) {
  const all = size(chosen.run.tables[chosen.table]);
  const lines = [`${rows.length} of ${all} rows are chosen.`];
  if (chosen.band && BANDS[chosen.y] && chosen.table !== "rounds") lines.push(`The ${BANDS[chosen.y]}.`);
  if (fitting.length < rows.length) lines.push(`${rows.length - fitting.length} are not drawn: they are 0, not finite or unknown.`);
  if (drawn.length < fitting.length) lines.push(`The first ${drawn.length} are drawn.`);
  if (chosen.table === "rounds" && all < chosen.run.blocks) lines.push(`The page carries ${all} of ${chosen.run.blocks} blocks, a random sample.`);
  document.getElementById("note").textContent = lines.join(" ");
}

start().catch((error) => {
  document.getElementById("note").textContent = `The explorer could not start: ${error.message}`;
  throw error;
});
