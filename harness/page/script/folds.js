// The folded parts of the page: their charts are drawn when they are opened, and a link opens the part that it leads to.

const isFolded = (node) => node.closest("details:not([open])") !== null;

// Opens the part that an address names and every part around it. An address with a choice of rows names the explorer.
function reveal(address) {
  const name = address.includes("run=") ? "explorer" : address.slice(1);
  const target = name && document.getElementById(name);
  if (!target) return;
  const inner = target.matches("#explorer") ? target.querySelector("details") : target;
  for (let part = inner.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  target.scrollIntoView();
}

async function drawOpen() {
  const waiting = [...document.querySelectorAll("[data-spec]:not([data-drawn])")].filter((target) => !isFolded(target));
  for (const target of waiting) target.dataset.drawn = "yes";   // before drawing, which takes time: another part may be opened meanwhile
  await Promise.all(waiting.map((target) => draw(target, settings.charts[target.dataset.spec])));
}

// A figure stands small beside its name while it is folded, and fills the room below when it is open.
function movePicture(figure) {
  const picture = figure.querySelector("picture");
  const room = figure.querySelector(".wide");
  if (figure.open) room.append(picture);
  else figure.querySelector("summary").prepend(picture);
  picture.querySelector("img").alt = figure.open ? figure.querySelector("p").textContent : "";
}
