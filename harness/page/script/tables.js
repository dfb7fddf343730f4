// The constants of the explorer of a report: its tables, and the columns that are no axes to choose rows by.

const TABLES = {
  time: { ys: ["seconds", "speedup", "multiple"], panel: "phase", title: "Times: a row for each phase of a cell" },
  error: { ys: ["value"], panel: "tensor", title: "Errors: a row for each error" },
  memory: { ys: ["peak_bytes", "min_bytes"], panel: "phase", title: "Memory: a row for each phase of a cell" },
  rounds: { ys: ["seconds"], xs: ["round", "launch"], panel: "phase", title: "Raw rounds: a row for each block" },
  verdicts: { ys: ["ratio"], xs: ["method"], panel: "kind", title: "Verdicts: a row for each quantity" },
};
const FIGURES = [
  "case", "seconds", "speedup", "multiple", "peak_bytes", "min_bytes", "value", "ratio", "base", "head", "detectable", "reason",
  "blocks", "launches", "calls", "standing",
];   // columns that are no axes to choose rows by
const PREFERRED = { dtype: "float32", distribution: "normal", metric: "rel_l2", reference: "exact", of: "method", launch: "1", clock: "device" };
const ENDS = /_(low|high)$/;   // endings of the columns that hold the interval of another column
const isAside = () => false;   // whether the table of rows hides a column at first: here none
const KEPT_WHOLE = ["method", "test", "phase", "tensor", "round"];
const KEPT_IN_THE_ADDRESS = [];   // parameters of the address beside the choice of rows: here none
const NAMED = "run";   // the page carries the rows of several of these
