// The rows that the page carries, unpacked: the rows of a table point to cells, which hold the axes.

const settings = JSON.parse(document.getElementById("settings").textContent);

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
