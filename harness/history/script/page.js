// The page of a history: the explorer, and a comparison of two commits that are chosen by clicking on their points.

begin(async (DataTable, payload) => {
  const pair = document.getElementById("pair");
  let chosen;

  const compare = () => {
    const commits = commitsOf(chosen.run);
    const { from = "", to = "" } = chosen.kept;
    const options = (first) => [["", first], ...commits.map((commit) => [commit, named(chosen.run, commit)])];
    pair.replaceChildren(select("from", "from commit", options("choose one"), from), select("to", "to commit", options("choose another"), to));
    const both = commits.includes(from) && commits.includes(to) && from !== to;
    const rows = both ? comparedRows(chosen.run, from, to) : [];
    showPairNote(chosen.run, both, rows, from, to);
    const axes = [...Object.keys(chosen.run.cells), "phase", "clock", "tensor", "reference", "metric"];
    document.getElementById("compared-card").hidden = !both;
    if (both) showTable(DataTable, "#compared", rows, ["verdict", "kind", ...axes, ...COMPARED], ["verdict", "kind", "method", "ratio", "before", "after", "by"]);
  };

  const go = (kept) => {
    chosen.kept = Object.fromEntries(Object.entries(kept).filter(([, value]) => value));
    history.replaceState(null, "", addressOf(chosen));
    document.getElementById("link").href = addressOf(chosen);
    compare();
  };

  // The first click chooses the commit to compare from, the second the one to compare to, the third begins again.
  const pick = (commit) => {
    const { from, to } = chosen.kept;
    go(from && !to && from !== commit ? { from, to: commit } : { from: commit });
  };

  const { show } = explore(DataTable, payload, (now) => {
    chosen = now;
    document.getElementById("chart").vega?.view.addEventListener("click", (_, item) => {
      const row = item?.datum;
      if (row?.number && row.head) pick(row.side === "base" ? row.base : row.head);
    });
    compare();
  });
  pair.addEventListener("change", () => {
    const data = new FormData(pair);
    const focused = document.activeElement?.name;
    go({ from: data.get("from"), to: data.get("to") });
    pair.elements[focused]?.focus();
  });
  pair.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => {
    if (!location.hash.includes("run=")) return;
    show();
    document.getElementById("explorer").scrollIntoView();
  });
  if (!location.hash.includes("run=") && settings.first) history.replaceState(null, "", settings.first);
  await show();
});

function named(run, commit) {
  const last = run.judged.filter((each) => each.head === commit).at(-1);
  return last ? `${commit} (run ${last.number}, ${last.begin.slice(0, 10)})` : `${commit} (a base)`;
}

function showPairNote(run, both, rows, from, to) {
  const note = document.getElementById("pair-note");
  if (!both) {
    note.textContent = from ? `${from} is chosen: click on a point of another commit, or choose it here.` : "Click on the points of two commits in the chart, or choose them here.";
    return;
  }
  const counts = new Map();
  for (const row of rows) if (row.verdict) counts.set(row.verdict, (counts.get(row.verdict) ?? 0) + 1);
  const verdicts = settings.gravity.filter((word) => counts.has(word)).map((word) => `${counts.get(word)} ${word}`);
  const direct = run.judged.filter((each) => (each.base === from && each.head === to) || (each.base === to && each.head === from));
  const how = direct.length ? `Judged in run ${direct.at(-1).number}: ${verdicts.join(", ")}.` : "No run has judged these two. Where a chain of runs connects them, its ratios are multiplied; else levels of different runs are compared, which is less certain, since runs differ among themselves.";
  note.replaceChildren(`${to} against ${from}: ${rows.length} ${rows.length === 1 ? "quantity" : "quantities"}. ${how} `);
  const report = direct.findLast((each) => each.report)?.report;
  if (report) note.append(element("a", { href: report }, "The report of that run"));
}
