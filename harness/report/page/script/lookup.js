// Which method for a case: those that were measured, the fastest first.

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
