// The page: unpack, draw, and follow what its reader chooses.

async function start() {
  const source = new Blob([document.getElementById("datatables").textContent], { type: "text/javascript" });
  const [library, payload] = await Promise.all([import(URL.createObjectURL(source)), unpack(document.getElementById("payload").textContent)]);
  const DataTable = library.default;
  const explorer = document.querySelector("#explorer > details");
  let chosen = null;

  const show = async (form = true) => {
    chosen = chosenFrom(location.hash, payload);
    if (!chosen) return;
    const rows = shownRows(chosen);
    const columns = [...Object.keys(chosen.run.cells), ...Object.keys(chosen.run.tables[chosen.table]).filter((name) => name !== "cell")];
    if (form) showForm(chosen, payload);
    document.getElementById("link").href = addressOf(chosen);
    const scaled = withScale(chosen, rows);
    const fitting = chartRows(scaled, rows);
    const drawn = fitting.slice(0, MOST_DRAWN);
    tell(chosen, rows, fitting, drawn);
    showTable(DataTable, rows, columns, ["method", chosen.y]);
    const chart = document.getElementById("chart");
    if (drawn.length) await draw(chart, specOf(scaled, drawn, columns), drawn.length);
    else clear(chart, "Nothing can be drawn of the rows that are chosen.");
  };

  const go = (address) => history.replaceState(null, "", address);
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

  const shade = () => document.documentElement.classList.toggle("dark", dark.matches);
  shade();
  dark.addEventListener("change", () => {
    shade();
    for (const target of document.querySelectorAll("[data-spec]")) if (target.vega) draw(target, settings.charts[target.dataset.spec]);
    if (chosen) show(false);
  });
  for (const target of document.querySelectorAll("[data-lookup]")) showLookUp(payload.runs[target.dataset.lookup], target);

  // Events of a fold do not bubble. The explorer measures its room, so it is drawn when it has one.
  document.addEventListener("toggle", (event) => {
    if (event.target.matches(".figure")) place(event.target);
    drawOpen();
    if (explorer.open && !chosen) show();
  }, true);
  window.addEventListener("hashchange", () => { reveal(location.hash); if (explorer.open && location.hash.includes("run=")) show(); });
  document.querySelectorAll(".figure[open]").forEach(place);
  if (location.hash) reveal(location.hash);
  await drawOpen();
  if (explorer.open) await show();
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
