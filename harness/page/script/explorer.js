// The explorer: the rows that a reader chooses, as a chart and as a table.

async function libraries() {
  const source = new Blob([document.getElementById("datatables").textContent], { type: "text/javascript" });
  const [library, payload] = await Promise.all([import(URL.createObjectURL(source)), unpack(document.getElementById("payload").textContent)]);
  return [library.default, payload];
}

// Makes the explorer follow its controls. Returns show(), which shows the choice in the address, and chosen(), the last
// choice that was shown. after(chosen) is called when a choice has been shown.
function explore(DataTable, payload, after = () => {}) {
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
    showNote(chosen, rows, fitting, drawn);
    showTable(DataTable, "#rows", rows, columns, ["method", chosen.y], (name) => isAside(name, chosen));
    const chart = document.getElementById("chart");
    if (drawn.length) await draw(chart, specOf(scaled, drawn, columns), drawn.length);
    else clear(chart, "Nothing can be drawn of the rows that are chosen.");
    await after(chosen);
  };

  const go = (address) => history.replaceState(null, "", address);
  form.addEventListener("change", async (event) => {
    go(readForm(chosen));
    const name = event.target.name;
    await show(["run", "table", "x", "colour", "panel"].includes(name));
    if (!event.target.isConnected) form.elements[name]?.focus?.();   // the form was made anew, and keeps the focus
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
  dark.addEventListener("change", () => { if (chosen) show(false); });
  return { show, chosen: () => chosen };
}

function showNote(chosen, rows, fitting, drawn) {
  const all = size(chosen.run.tables[chosen.table]);
  const lines = [`${rows.length} of ${all} rows are chosen.`];
  if (chosen.band && BANDS[chosen.y] && chosen.table !== "rounds") lines.push(`The ${BANDS[chosen.y]}.`);
  if (fitting.length < rows.length) lines.push(`${rows.length - fitting.length} are not drawn: they are 0, not finite or unknown.`);
  if (drawn.length < fitting.length) lines.push(`The first ${drawn.length} are drawn.`);
  if (chosen.table === "rounds" && all < chosen.run.blocks) lines.push(`The page carries ${all} of ${chosen.run.blocks} blocks, a random sample.`);
  document.getElementById("note").textContent = lines.join(" ");
}

// Follows light and dark, loads the libraries, then starts the page. An error is shown where a reader looks: above the chart.
function begin(start) {
  const shade = () => document.documentElement.classList.toggle("dark", dark.matches);
  shade();
  dark.addEventListener("change", shade);
  libraries().then(([DataTable, payload]) => start(DataTable, payload)).then(() => { document.documentElement.dataset.ready = "yes"; }).catch((error) => {
    document.getElementById("note").textContent = `The explorer could not start: ${error.message}`;
    throw error;
  });
}
