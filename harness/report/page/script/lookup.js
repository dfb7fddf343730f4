// Which method for a case: those that were measured, the fastest first.

function showLookUp(run, target) {
  const rows = rowsOf(run, "time").filter((row) => typeof row.speedup === "number" && settings.phases.includes(row.phase));
  const axes = Object.keys(run.cells).filter((name) => !["case", "method"].includes(name) && distinct(rows, name).length > 1);
  const asked = element("form", { class: "picks", "aria-label": `a case of ${run.label}` });
  const answer = element("div", { class: "columns", "aria-live": "polite" });
  const update = () => {
    const { fields, here } = narrowed(rows, axes, new FormData(asked));
    const focused = document.activeElement?.closest("form") === asked ? document.activeElement.name : null;
    asked.replaceChildren(...fields);
    if (focused) asked.elements[focused].focus();
    answer.replaceChildren(...settings.phases.map((phase) => ranking(phase, here.filter((row) => row.phase === phase))).filter(Boolean));
  };
  asked.addEventListener("change", update);
  asked.addEventListener("submit", (event) => event.preventDefault());
  target.replaceChildren(asked, answer);
  update();
}

// A control for each axis, which offers what was measured together with the axes before it, and the rows of that case.
function narrowed(rows, axes, data) {
  let here = rows;
  const fields = axes.map((name) => {
    const values = distinct(here, name);
    const value = values.map(String).includes(data.get(name)) ? data.get(name) : preset(here, name);
    here = here.filter((row) => String(row[name]) === value);
    return select(name, name, values.map((each) => [each, String(each)]), value);
  });
  return { fields, here };
}

function ranking(phase, rows) {
  const ranked = rows.filter((row) => !settings.relaxations.includes(row.method)).sort((a, b) => b.speedup - a.speedup);
  if (!ranked.length) return null;
  const items = ranked.map((row) => element("li", {}, element("b", {}, row.method), ` ${ratio(row)}, ${time(row.seconds)}`));
  return element("section", {}, element("h4", {}, phase), element("ol", {}, ...items));
}

function ratio(row) {
  const short = (value) => Number(value.toPrecision(3)).toString();
  if (row.method === "native") return "1x";
  if (typeof row.speedup_low !== "number") return `${short(row.speedup)}x (one launch: no interval)`;
  const told = row.speedup_low <= 1 && row.speedup_high >= 1 ? ", not told from native" : "";
  return `${short(row.speedup)}x (${short(row.speedup_low)} to ${short(row.speedup_high)}${told})`;
}

function time(seconds) {
  const [unit, factor] = seconds < 1e-3 ? ["µs", 1e6] : seconds < 1 ? ["ms", 1e3] : ["s", 1];
  return `${Number((seconds * factor).toPrecision(3))} ${unit}`;
}
