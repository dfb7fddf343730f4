// The table of the rows that are chosen, by DataTables, which sorts, searches and gives them as CSV.

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
