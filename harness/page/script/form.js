// The controls of the explorer: they are made from a choice, and read back as an address.

const form = document.getElementById("choices");

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== false) made.setAttribute(name, value === true ? "" : value);
  made.append(...children);
  return made;
}

function select(name, label, options, value) {
  const made = options.map(([key, text]) => element("option", { value: key, selected: String(key) === String(value) }, text));
  return element("label", {}, label, element("select", { name }, ...made));
}

function check(name, value, label, checked) {
  return element("label", { class: "check" }, element("input", { type: "checkbox", name, value, checked }), label);
}

function showForm(chosen, payload) {
  const { run, table } = chosen;
  const columns = columnsOf(run, table).map((name) => [name, name]);
  const figures = TABLES[table].ys.filter((name) => run.tables[table][name]).map((name) => [name, name]);
  const picks = element("div", { class: "picks" },
    select("run", NAMED, payload.runs.map((each, place) => [place, each.label]), chosen.place),
    select("table", "rows", Object.keys(TABLES).filter((name) => run.tables[name]).map((name) => [name, TABLES[name].title]), table),
    select("y", "figure", figures, chosen.y), ...(TABLES[table].only ? [] : [select("x", "against", columns, chosen.x)]),
    select("colour", "colour", columns, chosen.colour), select("panel", "panels", [["", "none"], ...columns], chosen.panel),
    ...(TABLES[table].only ? [] : [check("logx", "1", "log of the axis", chosen.logx)]), check("logy", "1", "log of the figure", chosen.logy),
    check("band", "1", "bands and intervals", chosen.band));
  const rows = rowsOf(run, table);
  const filters = chosen.varying.map((name) => {
    const boxes = distinct(rows, name).map((value) => check(`show.${name}`, value, String(value) || "(none)", chosen.show[name].includes(String(value))));
    const all = element("button", { type: "button", class: "all", "data-axis": name, "aria-label": `all of ${name}, or the first` }, "all");
    return element("fieldset", { class: boxes.length > 24 ? "long" : "" }, element("legend", {}, name), ...boxes, all);
  });
  form.replaceChildren(picks, ...filters);
}

function readForm(chosen) {
  const data = new FormData(form);
  const address = new URLSearchParams();
  for (const name of ["run", "table", "x", "y", "colour", "panel"]) if (data.has(name)) address.set(name, data.get(name));
  for (const name of ["logx", "logy", "band"]) address.set(name, data.has(name) ? "1" : "0");
  // Another table has other columns, so the choice begins anew. `kept` stays: it belongs to the run, not to one of its tables.
  const sameRun = Number(data.get("run")) === chosen.place;
  if (!sameRun || data.get("table") !== chosen.table) {
    const kept = sameRun ? Object.entries(chosen.kept) : [];
    return `#${new URLSearchParams([["run", data.get("run")], ["table", data.get("table")], ...kept])}`;
  }
  // An axis that was just given the x, the colour or the panels shows all of its values, not only the one chosen before.
  const roles = ["x", "colour", "panel"];
  for (const name of chosen.varying) {
    const values = data.getAll(`show.${name}`);
    const freed = roles.some((role) => data.get(role) === name && chosen[role] !== name);
    if (freed) for (const value of distinct(rowsOf(chosen.run, chosen.table), name)) address.append(name, value);
    else for (const value of values.length ? values : [""]) address.append(name, value);
  }
  for (const [name, value] of Object.entries(chosen.kept)) address.set(name, value);
  return `#${address}`;
}
