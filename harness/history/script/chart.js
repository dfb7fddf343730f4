// Fills the chart, a specification made by Altair, with rows, titles, scales, colours and commits.

const TITLES = {
  change: "level / level of the first base", reads: "time in reads of y", seconds: "seconds a call", ratio: "head / base of the run",
  bytes: "peak bytes", instructions: "instructions a call", error: "error",
};
const OF_A_RATIO = "bars are the interval of the ratio of head to base in that run, drawn around the head";
const BANDS = { change: OF_A_RATIO, reads: OF_A_RATIO, seconds: OF_A_RATIO, bytes: OF_A_RATIO, instructions: OF_A_RATIO, error: OF_A_RATIO, ratio: "bars are the interval of the ratio" };
const UNITS = ["seconds", "bytes", "instructions"];   // shown with SI prefixes: 20µ, 4M
const MOST_DRAWN = 20000;   // points: more would make the browser slow
const TICK_WIDTH = 26;      // pixels that the label of a commit needs
const MARGIN = 0.6;         // at both ends of the axis; runs are 1 apart

// A logarithmic axis needs figures above 0. Errors are often all 0: then the axis is linear.
function withScale(chosen, rows) {
  return { ...chosen, logy: chosen.logy && rows.some((row) => row[chosen.y] > 0) };
}

// The ratio to a base of 0 is infinite, which the rows carry as text.
const ratioOf = (value) => (value === "inf" ? Infinity : value);

function chartRows(chosen, rows) {
  const { y, colour, panel } = chosen;
  const rest = chosen.varying.filter((name) => !["verdict", "torch", panel].includes(name));
  const fits = (value) => typeof value === "number" && (!chosen.logy || value > 0);
  return rows.filter((row) => fits(row[y])).map((row) => ({
    ...row, x: row.number, seen: ratioOf(row.seen), step: ratioOf(row.step), y: row[y], y_base: fits(row[`${y}_base`]) ? row[`${y}_base`] : null,
    colour: String(row[colour]), panel: panel ? String(row[panel]) : "", series: rest.map((name) => row[name]).join(" "),
    low: chosen.band && fits(row[`${y}_low`]) ? row[`${y}_low`] : null, high: chosen.band && fits(row[`${y}_high`]) ? row[`${y}_high`] : null,
  }));
}

// The labels below the axis: every run if there is room, else every second, third ... counted back from the newest.
function ticksOf(run, width) {
  const last = run.judged.length;
  const every = Math.max(1, Math.ceil((last * TICK_WIDTH) / width));
  const values = run.judged.map((each) => each.number).filter((number) => (last - number) % every === 0);
  return { values, labelAngle: -60, labelOverlap: false, title: null, labelExpr: `${JSON.stringify(["", ...run.judged.map((each) => each.head)])}[datum.value]` };
}

function specOf(chosen, rows, columns) {
  const spec = structuredClone(settings.explorer);
  const values = distinct(rows, "colour").sort((a, b) => (isNaN(a) || isNaN(b) ? String(a).localeCompare(b) : a - b));
  const { colours, shapes } = looks(chosen.colour, values);
  const room = document.getElementById("chart").clientWidth;
  const panels = distinct(rows, "panel").length;
  const narrow = room < NARROW;
  spec.columns = narrow || panels === 1 ? 1 : Math.max(1, Math.floor(room / (spec.spec.width + 90)));
  spec.spec.width = Math.max(140, narrow ? room - 70 : panels === 1 ? room - 190 : spec.spec.width);
  if (panels === 1) spec.spec.height = 320;
  const domain = [1 - MARGIN, chosen.run.judged.length + MARGIN];
  const soft = getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
  const legend = { symbolOpacity: 1, ...(narrow ? { orient: "bottom", columns: 2 } : {}) };
  for (const { encoding, mark } of spec.spec.layer) {
    Object.assign(encoding.x, { scale: { domain, nice: false, zero: false }, axis: { ...ticksOf(chosen.run, spec.spec.width), grid: false } });
    if (encoding.y?.field) Object.assign(encoding.y, { title: TITLES[chosen.y], axis: { format: UNITS.includes(chosen.y) ? "~s" : "~g" }, scale: { ...(chosen.logy ? { type: "log" } : { zero: false }), nice: false, padding: 12 } });
    if (encoding.color) Object.assign(encoding.color, { title: chosen.colour, scale: { domain: values, range: colours }, legend });
    if (encoding.shape) Object.assign(encoding.shape, { title: chosen.colour, scale: { domain: values, range: shapes }, legend });
    if (encoding.color) encoding.tooltip = columns.map((name) => ({ field: accessor(name), title: name }));
    else mark.color = soft;
  }
  spec.data = { values: rows };
  delete spec.datasets;
  spec.description = `${TITLES[chosen.y]} of ${rows.length} rows over the judged runs, by commit, coloured by ${chosen.colour}`;
  return spec;
}
