/* The sampling explorer: a small map, its sampling points, and what is read at them.

   <div class="sampling-explorer" data-map="toy" data-initial="nearest" data-factor="1">
   Further attributes: data-scale, data-groups, data-channels; data-walks="random";
   data-select, the number of the selected point, pixel by pixel from 0; data-walk="x y",
   how far that point has walked, in pixels. */
(function () {
  "use strict";

  const { ExplorerModel, EXPLORER_MAPS, ExplorerDraw: draw } = window;
  const { element, select, slider, checkbox, button, drag, number, mount } = window.Widget;

  const STEP = 0.05; // of an arrow key, in pixels; five times as much with Shift
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const HELP =
    "Drag a point. Or focus the map and press the arrow keys (with Shift for larger " +
    "steps); Page Up and Page Down choose another point, Home sends it to its start.";
  const RULES = { nearest: "at the centre", bilinear: "evenly spread" };
  let widgets = 0;

  function build(body, data) {
    body.classList.add("explorer");
    const model = new ExplorerModel({
      map: data.map || "toy",
      initial: data.initial || "bilinear",
      scale: Number(data.scale || 2),
      factor: Number(data.factor || 1),
      groups: Number(data.groups || 1),
      channels: Number(data.channels || 1),
    });
    if (data.walks === "random") model.scatter();
    model.selected = model.points[Number(data.select || 0)];
    if (data.walk) {
      const [x, y] = data.walk.split(" ").map(Number);
      model.walkTo({ x, y });
    }

    const map = element("figure");
    const help = element("figcaption", { id: `explorer-help-${widgets++}` }, HELP);
    const rows = element("div");
    const numbers = draw.numberList();
    const status = element("p", { role: "status", class: "explorer-status" });
    let plot, panels;

    /* Draw anew: after a change of the map, the scale or the groups. */
    function redraw() {
      plot = draw.pointMap(model, help.id);
      plot.node.addEventListener("pointerdown", press);
      plot.node.addEventListener("keydown", onKey);
      plot.node.addEventListener("touchstart", holdPage, { passive: false });
      map.replaceChildren(plot.node, help);
      panels = draw.resultPanels(model);
      const row = (channel) => channel.map(({ node }) => node);
      rows.replaceChildren(
        ...panels.map((channel) => element("div", { class: "explorer-row" }, ...row(channel)))
      );
      update();
    }

    /* Show where the points are now, and what they read. */
    function update() {
      const found = model.results();
      plot.update();
      panels.forEach((row, c) => {
        row[0].update(found.read[c]);
        row[1].update(found.minusNearest[c]);
        row[2].update(found.minusBilinear[c]);
      });
      numbers.update(found);
      const sentence = draw.describe(model, found.selected);
      plot.node.setAttribute("aria-label", `Sampling points over the map. ${sentence}`);
      if (status.textContent !== sentence) status.textContent = sentence;
      status.dataset.value = JSON.stringify(found.selected);
      controls.set.input.disabled = model.groups === 1;
      controls.set.input.value = model.selected.group;
      const walk = model.walk(model.selected);
      controls.x.set(walk.x);
      controls.y.set(walk.y);
    }

    const change = (name, then) => (value) => {
      model[name] = typeof model[name] === "number" ? Number(value) : value;
      then();
    };
    const anew = () => {
      model.reset();
      redraw();
    };
    const pixels = (value) => `${number(value)} px`;
    const walkTo = (axis) => (value) => {
      model.walkTo({ ...model.walk(model.selected), [axis]: value });
      update();
    };
    const { FAR } = ExplorerModel;
    const walks = { min: -FAR, max: FAR, step: STEP, value: 0, text: pixels };
    const factors = { min: 0.05, max: 1, step: 0.025, value: model.factor, text: (f) => `${f}` };
    const maps = Object.entries(EXPLORER_MAPS).map(([key, { name }]) => [key, name]);
    const rules = Object.entries(RULES);
    const scales = [2, 3, 4].map((s) => [s, `s = ${s}`]);
    const sets = [0, 1].map((g) => [g, draw.setName(g)]);
    const groups = [1, 2].map((g) => [g, `g = ${g}`]);
    const controls = {
      map: select("Feature map", maps, model.map, change("map", anew)),
      initial: select("Initial positions", rules, model.initial, change("initial", update)),
      scale: select("Scale", scales, model.scale, change("scale", anew)),
      groups: select("Groups", groups, model.groups, (value) => {
        model.setGroups(Number(value));
        redraw();
      }),
      set: select("Move the points of", sets, 0, (value) => {
        model.chooseGroup(Number(value));
        update();
      }),
      factor: slider("Scope factor", factors, change("factor", update)),
      x: slider("Offset x", walks, walkTo("x")),
      y: slider("Offset y", walks, walkTo("y")),
      everywhere: checkbox("move this point in every pixel", false, change("everywhere", () => {})),
      scatter: button("Scatter", () => {
        model.scatter();
        update();
      }),
      reset: button("Back to the start", () => {
        model.moves.fill(0);
        update();
      }),
    };

    function onKey(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own
      const length = event.shiftKey ? 5 * STEP : STEP;
      const { x, y } = model.walk(model.selected);
      const way = KEYS[event.key];
      if (way) model.walkTo({ x: x + length * way[0], y: y + length * way[1] });
      else if (event.key === "Home") model.walkTo({ x: 0, y: 0 });
      else if (event.key === "PageDown") model.step(1);
      else if (event.key === "PageUp") model.step(-1);
      else return;
      event.preventDefault();
      update();
    }

    /* A finger on a point drags it; elsewhere on the map it scrolls the page. */
    function holdPage(event) {
      if (event.target.matches(".explorer-hit")) event.preventDefault();
    }

    /* Take the nearest point, and drag it while the pointer is down. */
    function press(event) {
      if (event.button !== 0) return;
      const far = (point, { x, y }) => {
        const at = model.position(point);
        // Of points in one place the one in hand is taken, or one of its group.
        const near = (point === model.selected) + (point.group === model.selected.group);
        return Math.hypot(at.x - x, at.y - y) - 1e-6 * near;
      };
      const here = draw.placeOf(plot.node, event);
      model.selected = model.points.reduce((best, point) =>
        far(point, here) < far(best, here) ? point : best
      );
      update();
      if (!event.target.matches(".explorer-hit")) return; // of a scroll, perhaps
      const svg = plot.node;
      drag(svg, event, (moved) => {
        const to = draw.placeOf(svg, moved);
        const from = model.start(model.selected);
        model.walkTo({ x: to.x - from.x, y: to.y - from.y });
        update();
      });
    }

    const nodes = Object.values(controls).map(({ node }) => node);
    body.append(
      map,
      element("div", { class: "explorer-results" }, rows, numbers.node, status),
      element("div", { class: "widget-controls" }, ...nodes)
    );
    redraw();
  }

  mount(".sampling-explorer", "Sampling explorer", build);
})();
