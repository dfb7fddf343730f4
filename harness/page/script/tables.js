// What the explorer of a report offers: its tables, and what is no axis to choose rows by.

const TABLES = {
  time: { ys: ["seconds", "speedup", "multiple"], panel: "phase", told: "Times: a row is a cell's phase" },
  error: { ys: ["value"], panel: "tensor", told: "Errors: a row is one figure" },
  memory: { ys: ["peak_bytes", "min_bytes"], panel: "phase", told: "Memory: a row is a cell's phase" },
  rounds: { ys: ["seconds"], xs: ["round", "launch"], panel: "phase", told: "Raw rounds: a row is one block" },
  verdicts: { ys: ["ratio"], xs: ["method"], panel: "kind", told: "Verdicts: a row is a quantity" },
};
const FIGURES = [
  "case", "seconds", "speedup", "multiple", "peak_bytes", "min_bytes", "value", "ratio", "base", "head", "detectable", "reason",
  "blocks", "launches", "calls", "standing",
];   // what is no axis to choose rows by
const PREFERRED = { dtype: "float32", distribution: "normal", metric: "rel_l2", reference: "exact", of: "method", launch: "1", clock: "device" };
const ENDS = /_(low|high)$/;   // of names of columns that go with another
const isAside = () => false;   // whether the table of the chosen rows hides a column
const KEPT_WHOLE = ["method", "test", "phase", "tensor", "round"];
const KEPT_IN_THE_ADDRESS = [];   // what the address says beside the choice of rows
const NAMED = "run";   // what the page calls one of the things whose rows it carries
