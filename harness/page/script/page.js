// The page of a report: its charts and look-ups, most of them folded, and the explorer.

begin(async (DataTable, payload) => {
  const fold = document.querySelector("#explorer > details");
  const explorer = explore(DataTable, payload);
  dark.addEventListener("change", () => {
    for (const target of document.querySelectorAll("[data-spec]")) if (target.vega) draw(target, settings.charts[target.dataset.spec]);
  });
  for (const target of document.querySelectorAll("[data-lookup]")) showLookUp(payload.runs[target.dataset.lookup], target);

  // Toggle events do not bubble, so they are captured. The explorer sizes its chart by its room, and has none while folded.
  document.addEventListener("toggle", (event) => {
    if (event.target.matches(".figure")) movePicture(event.target);
    drawOpen();
    if (fold.open && !explorer.chosen()) explorer.show();
  }, true);
  window.addEventListener("hashchange", () => { reveal(location.hash); if (fold.open && location.hash.includes("run=")) explorer.show(); });
  document.querySelectorAll(".figure[open]").forEach(movePicture);
  if (location.hash) reveal(location.hash);
  await drawOpen();
  if (fold.open) await explorer.show();
});
