// The look-up: the methods of a case that compete and whose times are believed, in the order of their speed-up.

function showLookUp(run, target) {
  const rows = rowsOf(run, "time").filter((row) => typeof row.speedup === "number" && row.standing);
  const known = Object.keys(run.cells).filter((name) => !["case", "method"].includes(name) && distinct(rows, name).length > 1);
  const axes = [...known.filter((name) => name === "shape"), ...known.filter((name) => name !== "shape")];   // people know their shape first
  const asked = element("form", { class: "picks", "aria-label": `a case of ${run.label}` });
  const answer = element("div", { class: "columns", "aria-live": "polite" });
  const update = () => {
    const { fields, here } = narrowed(rows, axes, new FormData(asked));
    const focused = document.activeElement?.closest("form") === asked ? document.activeElement.name : null;
    asked.replaceChildren(...fields);
    if (focused) asked.elements[focused].focus();
    const clocks = distinct(here, "clock").sort();   // the device clock comes first
    const rankings = settings.phases.flatMap((phase) => clocks.map((clock) => {
      const title = clocks[0] === "device" ? `${phase}, by the ${clock} clock` : phase;
      return ranking(title, here.filter((row) => row.phase === phase && row.clock === clock));
    }));
    answer.replaceChildren(...rankings.filter(Boolean));
  };
  asked.addEventListener("change", update);
  asked.addEventListener("submit", (event) => event.preventDefault());
  target.replaceChildren(asked, answer);
  update();
}

// A control for each axis, which offers the values that occur together with the chosen ones of the axes before it; and the
// rows of the chosen case.
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

// The methods in the order of their speed-up, then those with too few launches for a rank, in the order of their names.
function ranking(title, rows) {
  if (!rows.length) return null;
  const isRanked = (row) => row.standing !== settings.unranked;
  const ranked = rows.filter(isRanked).sort((a, b) => b.speedup - a.speedup);
  const unranked = rows.filter((row) => !isRanked(row)).sort((a, b) => a.method.localeCompare(b.method));
  const list = (kind, some) => element(kind, {}, ...some.map((row) => element("li", {}, element("b", {}, row.method), ` ${ratio(row)}, ${time(row.seconds)}`)));
  const lists = [ranked.length ? list("ol", ranked) : null, unranked.length ? element("p", {}, why(unranked)) : null, unranked.length ? list("ul", unranked) : null];
  return element("section", {}, element("h3", {}, title), ...lists.filter(Boolean));
}

function why(rows) {
  const most = Math.max(...rows.map((row) => row.launches));
  return `${most} launch${most === 1 ? "" : "es"}: no interval and no rank; run with --launches ${settings.fewest_launches}`;
}

function ratio(row) {
  const short = (value) => Number(value.toPrecision(3)).toString();
  if (row.method === "native") return "1x";
  if (typeof row.speedup_low !== "number") return `${short(row.speedup)}x`;
  return `${short(row.speedup)}x (${short(row.speedup_low)} to ${short(row.speedup_high)}), ${row.standing}`;
}

function time(seconds) {
  const [unit, factor] = seconds < 1e-3 ? ["µs", 1e6] : seconds < 1 ? ["ms", 1e3] : ["s", 1];
  return `${Number((seconds * factor).toPrecision(3))} ${unit}`;
}
