// The look of a chart and its drawing: colours, shapes, light and dark.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const MANY_POINTS = 1500;   // a chart of more points is a bitmap, since an SVG of them would be slow
const NARROW = 500;         // pixels: in a narrower window a legend beside the panels would be cut off
const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7A5195", "#999999"];

const onDark = (colour) => (dark.matches ? settings.on_dark[colour] ?? colour : colour);
const accessor = (name) => name.replace(/[\\.[\]]/g, "\\$&");

function looks(column, values) {
  const own = settings.colours[column] ?? {};
  const colours = values.map((value, place) => onDark(own[value]?.[0] ?? PALETTE[place % PALETTE.length]));
  const shapes = values.map((value) => own[value]?.[1] ?? "circle");
  return { colours, shapes };
}

const LOOK = { actions: false, ast: true, tooltip: { theme: "custom" } };

const pointsOf = (spec) => Object.values(spec.datasets ?? {}).reduce((sum, rows) => sum + rows.length, 0);

async function draw(target, spec, points = pointsOf(spec)) {
  target.vega?.finalize();
  const themed = dark.matches ? { ...spec, config: { ...spec.config, ...settings.dark } } : spec;
  target.vega = await window.vegaEmbed(target, themed, { ...LOOK, renderer: points > MANY_POINTS ? "canvas" : "svg" });
}

function clear(target, message) {
  target.vega?.finalize();
  delete target.vega;
  target.replaceChildren(element("p", {}, message));
}
