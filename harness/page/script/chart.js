// The chart of the explorer: the specification from Python, filled with rows, titles, scales and colours.

const TITLES = {
  n: "n (length of y)", k: "k (how many are kept)", seconds: "seconds a call", speedup: "speed-up over native",
  multiple: "time / time of one read of y", peak_bytes: "peak bytes", min_bytes: "least bytes", ratio: "head / base",
  value: "value of the metric",
};
const BANDS = {
  seconds: "line is the median block, the bands hold 90 % of the blocks", speedup: "bands are 95 % intervals over launches",
  multiple: "bands are 95 % intervals over launches", peak_bytes: "bands are the range over launches", ratio: "bars are 95 % intervals, of instructions the range of the counts",
};
const MOST_DRAWN = 20000;   // points at most: more would make the browser slow
const FEW_TICKS = 8;        // up to this many values of the axis each have a tick of their own
const UNITS = ["seconds", "peak_bytes", "min_bytes"];   // written with prefixes: 20µ, 4M

// Where no figure is above 0, as with errors that are all 0, a logarithmic axis would be empty: the axis is linear instead.
function withScale(chosen, rows) {
  return { ...chosen, logy: chosen.logy && rows.some((row) => row[chosen.y] > 0) };
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
  const room = document.getElementById("chart").clientWidth;
  const [band, bars, line, points] = spec.spec.layer;
  for (const layer of spec.spec.layer) {
    const { encoding } = layer;
    Object.assign(encoding.x, { type: numeric ? "quantitative" : "nominal", title: TITLES[chosen.x] ?? chosen.x, scale: logx ? { type: "log", base: 2 } : numeric ? { zero: false } : {}, axis: ticks });
    Object.assign(encoding.y, { title: TITLES[chosen.y] ?? chosen.y, axis: { format: UNITS.includes(chosen.y) ? "~s" : "~g" }, scale: chosen.logy ? { type: "log" } : { zero: false } });
    const legend = { symbolOpacity: 1, ...(room < NARROW ? { orient: "bottom", columns: 2 } : {}) };
    Object.assign(encoding.color, { title: chosen.colour, scale: { domain: values, range: colours }, legend });
    if (encoding.shape) Object.assign(encoding.shape, { title: chosen.colour, scale: { domain: values, range: shapes }, legend });
    encoding.tooltip = columns.map((name) => ({ field: accessor(name), title: name }));
  }
  const lined = !["rounds", "verdicts"].includes(chosen.table) && rows.length > 0;
  const banded = chosen.table !== "rounds" && chosen.band && rows.some((row) => row.low !== null);
  for (const layer of [band, bars]) layer.transform = [{ filter: "datum.low !== null" }];
  spec.spec.layer = [...(banded && lined && numeric ? [band] : []), ...(banded ? [bars] : []), ...(lined ? [line] : []), points];
  spec.columns = Math.max(1, Math.floor(room / (spec.spec.width + 70)));
  spec.spec.width = Math.min(spec.spec.width, Math.max(140, room - (room < NARROW ? 70 : 130)));
  if (!chosen.panel) Object.assign(spec.spec, { width: Math.max(140, Math.min(620, room - 150)), height: 300 });
  spec.data = { values: rows };
  delete spec.datasets;
  spec.description = `${chosen.y} against ${chosen.x} of ${rows.length} rows, coloured by ${chosen.colour}`;
  return spec;
}
