// The choice of rows: the hash of the address holds it, and whatever the hash leaves out has a default.

function columnsOf(run, table) {
  const bands = (name) => ENDS.test(name) || ["low", "high"].includes(name);
  const all = [...Object.keys(run.cells), ...Object.keys(run.tables[table]).filter((name) => name !== "cell")];
  return all.filter((name) => !bands(name) && !FIGURES.includes(name));
}

function defaults(run, table) {
  const rows = rowsOf(run, table);
  const varying = columnsOf(run, table).filter((name) => distinct(rows, name).length > 1);
  const { ys, xs, only, panel } = TABLES[table];
  const x = only ?? [...(xs ?? []), "n", "k", ...varying].find((name) => varying.includes(name)) ?? "n";
  const verdicts = table === "verdicts";
  return {
    table, varying, x, y: ys.find((name) => run.tables[table][name]) ?? ys[0],
    colour: verdicts ? "verdict" : "method", panel: varying.includes(panel) ? panel : "",
    logx: !xs && !only && typeof rows[0]?.[x] === "number", logy: !verdicts, band: true, show: {}, kept: {},
  };
}

function isWhole({ table, x, colour, panel }, name) {
  return table === "verdicts" || [x, colour, panel, ...KEPT_WHOLE].includes(name);
}

// The value to begin with: the preferred one, or else the middle one of the values that have the most rows.
function preset(rows, name) {
  const counts = new Map();
  for (const row of rows) counts.set(String(row[name]), (counts.get(String(row[name])) ?? 0) + 1);
  if (counts.has(PREFERRED[name])) return PREFERRED[name];
  const most = Math.max(...counts.values());
  const values = distinct(rows, name).map(String).filter((value) => counts.get(value) === most);
  return values[Math.floor(values.length / 2)];
}

function chosenFrom(address, payload) {
  const asked = new URLSearchParams(address.replace(/^#/, ""));
  const place = Math.min(Math.max(0, Math.trunc(asked.get("run")) || 0), payload.runs.length - 1);
  const run = payload.runs[place];
  const table = run.tables[asked.get("table")] ? asked.get("table") : Object.keys(TABLES).find((name) => run.tables[name]);
  if (!table) return null;
  const chosen = { place, run, ...defaults(run, table) };
  const columns = columnsOf(run, table);
  for (const name of TABLES[table].only ? ["colour"] : ["x", "colour"]) if (columns.includes(asked.get(name))) chosen[name] = asked.get(name);
  if (asked.has("panel")) chosen.panel = columns.includes(asked.get("panel")) ? asked.get("panel") : "";
  if (TABLES[table].ys.includes(asked.get("y")) && run.tables[table][asked.get("y")]) chosen.y = asked.get("y");
  for (const name of ["logx", "logy", "band"]) if (asked.has(name)) chosen[name] = asked.get(name) === "1";
  for (const name of KEPT_IN_THE_ADDRESS) if (asked.has(name)) chosen.kept[name] = asked.get(name);
  let rows = rowsOf(run, table);
  for (const name of chosen.varying) {
    const all = distinct(rowsOf(run, table), name).map(String);
    const wanted = asked.getAll(name).filter((value) => all.includes(value));
    chosen.show[name] = asked.has(name) ? wanted : isWhole(chosen, name) ? all : [preset(rows, name)];
    const left = rows.filter((row) => chosen.show[name].includes(String(row[name])));
    if (left.length) rows = left;   // so that the next axis begins with a value that occurs together with those chosen so far
  }
  return chosen;
}

function addressOf(chosen) {
  const address = new URLSearchParams();
  address.set("run", chosen.place);
  for (const name of ["table", "x", "y", "colour", "panel"]) address.set(name, chosen[name]);
  for (const name of ["logx", "logy", "band"]) address.set(name, chosen[name] ? "1" : "0");
  for (const name of chosen.varying) for (const value of chosen.show[name].length ? chosen.show[name] : [""]) address.append(name, value);
  for (const [name, value] of Object.entries(chosen.kept)) address.set(name, value);
  return `#${address}`;
}

function shownRows(chosen) {
  const picked = Object.entries(chosen.show).map(([name, values]) => [name, new Set(values)]);
  return rowsOf(chosen.run, chosen.table).filter((row) => picked.every(([name, values]) => values.has(String(row[name]))));
}
