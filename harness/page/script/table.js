// A table of rows, which DataTables sorts, searches and exports as CSV.

const SMALL = 1e-3;   // smaller numbers are written with an exponent
const tables = {};    // selector of a place on the page -> the table that is shown there
const escaped = (value) => (value === null || value === undefined ? "" : String(value).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`));

const shown = (value) => (typeof value === "number" && value !== 0 && Math.abs(value) < SMALL ? value.toExponential() : escaped(value));

// Columns with the same value in all rows are hidden, except those in `kept`. The download has them all the same.
function showTable(DataTable, place, rows, columns, kept, hides = () => false) {
  tables[place]?.destroy();
  document.querySelector(place).replaceChildren();
  tables[place] = new DataTable(place, {
    data: rows, deferRender: true, pageLength: 10, autoWidth: false,
    columns: columns.map((name) => ({
      title: escaped(name), data: (row) => row[name] ?? null, render: { display: shown },
      visible: name !== "case" && !hides(name) && (kept.includes(name) || rows.length < 2 || rows.some((row) => row[name] !== rows[0][name])),
    })),
    order: [],
    layout: { topStart: { buttons: [
      { extend: "csv", text: "Download the shown rows (CSV)", filename: "rows" }, { extend: "colvis", text: "Columns" },
    ] } },
    language: { search: "Search in these rows:" },
  });
  const pages = document.querySelector(`${place}_wrapper nav`);   // a page may have two tables, whose navigation needs different names
  pages?.setAttribute("aria-label", `pages of the table ${place.slice(1)}`);
}
