// Compares two commits: by the duel that measured both, else by a chain of duels, else by the levels of two runs.

const OPPOSITE = { slower: "faster", faster: "slower", worse: "better", better: "worse", more: "fewer", fewer: "more", lost: "new", new: "lost" };
const QUANTITY = ["case", "method", "phase", "clock", "tensor", "reference", "metric"];
const COMPARED = ["ratio", "low", "high", "before", "after", "by"];   // columns beside the verdict and the quantity

// The commits of a study in the order in which the runs measured them, the base of a run before its head.
function commitsOf(run) {
  return [...new Set(run.judged.flatMap((each) => [each.base, each.head]))];
}

// For each quantity its kind and its rows, in the order of their runs.
function quantitiesOf(run) {
  run.quantities ??= Object.keys(TABLES).filter((name) => run.tables[name]).flatMap((kind) => {
    const groups = new Map();
    for (const row of rowsOf(run, kind)) {
      const name = QUANTITY.map((column) => row[column]).join("\u0000");
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(row);
    }
    return [...groups.values()].map((rows) => ({ kind, rows }));
  });
  return run.quantities;
}

const isMeasured = (row) => row.ratio > 0 && row.base !== row.head;

// The shortest way from one commit to another along runs, each of which measured two commits: a list of [row, forwards].
// It leads over no commit with changes in none: two runs may have measured other changes under the same name.
function wayBetween(rows, from, to) {
  const measured = rows.filter(isMeasured);
  const ways = new Map([[from, []]]);
  for (const commit of ways.keys()) {   // breadth-first: keys added on the way are visited too
    if (commit === to) return ways.get(commit);
    if (commit !== from && commit.endsWith("-dirty")) continue;
    for (const row of [...measured].reverse()) {   // the newest first
      const next = row.base === commit ? row.head : row.head === commit ? row.base : null;
      if (next !== null && !ways.has(next)) ways.set(next, [...ways.get(commit), [row, row.base === commit]]);
    }
  }
  return null;
}

const middle = (values) => {
  const sorted = values.filter((value) => typeof value === "number").sort((a, b) => a - b);
  return sorted.length ? (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2 : null;
};

function levelAt(rows, level, commit) {
  return middle(rows.flatMap((row) => [...(row.head === commit ? [row[level]] : []), ...(row.base === commit ? [row[`${level}_base`]] : [])]));
}

// The ratio along a way is the product of its ratios; the half widths of their log intervals add in quadrature.
function alongWay(way) {
  const logs = way.map(([row, forwards]) => (forwards ? 1 : -1) * Math.log(row.ratio));
  const halves = way.map(([row]) => (row.ratio_low > 0 && row.ratio_high > 0 ? Math.log(row.ratio_high / row.ratio_low) / 2 : null));
  const centre = logs.reduce((sum, each) => sum + each, 0);
  if (way.length === 1) {
    const [row, forwards] = way[0];
    const [low, high] = forwards ? [row.ratio_low, row.ratio_high] : [1 / row.ratio_high, 1 / row.ratio_low];
    return { ratio: Math.exp(centre), low: halves[0] === null ? null : low, high: halves[0] === null ? null : high };
  }
  const half = halves.includes(null) ? null : Math.hypot(...halves);
  const end = (sign) => (half === null ? null : Math.exp(centre + sign * half));
  return { ratio: Math.exp(centre), low: end(-1), high: end(1) };
}

function comparedRows(run, from, to) {
  const found = quantitiesOf(run).flatMap(({ kind, rows }) => {
    const level = LEVELS[kind].find((name) => run.tables[kind][name]);
    const direct = rows.filter((row) => (row.base === from && row.head === to) || (row.base === to && row.head === from)).at(-1);
    const forwards = direct?.base === from;
    // A run that measured both commits speaks for itself: no figure beside its verdict is of other runs.
    const sides = direct ? [number(direct[`${level}_base`]), number(direct[level])] : [levelAt(rows, level, from), levelAt(rows, level, to)];
    const [before, after] = direct && !forwards ? sides.reverse() : sides;
    const way = direct ? (isMeasured(direct) ? [[direct, forwards]] : null) : wayBetween(rows, from, to);
    if (!direct && !way && (before === null || after === null)) return [];
    const verdict = direct ? (forwards ? direct.verdict : OPPOSITE[direct.verdict] ?? direct.verdict) : "";
    const figures = way?.length ? alongWay(way) : { ratio: direct || !(before > 0) ? null : after / before, low: null, high: null };
    const by = direct ? `run ${direct.number}` : way ? `${way.length} runs in a chain` : "levels of different runs";
    const own = Object.fromEntries([...Object.keys(run.cells), "phase", "clock", "tensor", "reference", "metric"].map((name) => [name, rows[0][name] ?? ""]));
    return [{ verdict, kind, ...own, ...rounded({ ...figures, before, after }), by }];
  });
  const gravity = (row) => { const place = settings.gravity.indexOf(row.verdict); return place < 0 ? settings.gravity.length : place; };
  const size = (row) => (row.ratio > 0 ? Math.abs(Math.log(row.ratio)) : 0);
  return found.sort((a, b) => gravity(a) - gravity(b) || size(b) - size(a));
}

const number = (value) => (typeof value === "number" ? value : null);
const LEVELS = { time: ["reads", "seconds"], instructions: ["instructions"], memory: ["bytes"], error: ["error"] };
const rounded = (figures) => Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, value === null ? null : Number(value.toPrecision(5))]));
