// The tables that the explorer of a history offers, and the columns by which rows cannot be chosen.

const RUNS = { only: "number", panel: "phase" };
const TABLES = {
  time: { ...RUNS, ys: ["change", "reads", "seconds", "ratio"], title: "Times" },
  instructions: { ...RUNS, ys: ["change", "instructions", "ratio"], title: "Instructions" },
  memory: { ...RUNS, ys: ["change", "bytes", "ratio"], title: "Memory" },
  error: { ...RUNS, panel: "tensor", ys: ["error", "change", "ratio"], title: "Errors" },
};
const FIGURES = [
  "case", "number", "change", "reads", "seconds", "ratio", "bytes", "instructions", "error", "base", "head", "begin", "launches", "seen", "step",
];   // columns that are no axes, so that the explorer offers no choice of their values
const PREFERRED = { dtype: "float32", distribution: "normal", metric: "rel_l2", reference: "exact", clock: "device" };
const ENDS = /_(low|high|base)$/;   // suffixes of columns that belong to another column
const isAside = (name, { table, y }) => name.replace(ENDS, "") !== y && TABLES[table].ys.includes(name.replace(ENDS, ""));
const KEPT_WHOLE = ["method", "test", "phase", "tensor", "torch", "verdict"];
const KEPT_IN_THE_ADDRESS = ["from", "to"];   // the two commits that are compared
const NAMED = "study";   // the page's word for a group of rows
