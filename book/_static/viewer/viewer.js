/* The viewer of learned offsets: two steps on one tile, and a slider between them.

   <div class="step-viewer" data-left="static_scope" data-right="grouping"
        data-show="points" data-level="2">
   Its images and steps.js lie beside this file; book/scripts/viewer_data.py writes them. */
(function () {
  "use strict";

  const { element, svg, select, slider, checkbox, drag, number, mount } = window.Widget;
  const HERE = new URL(".", document.currentScript.src);
  const SHOWN = {
    image: "image",
    truth: "truth",
    prediction: "prediction",
    error: "errors",
    points: "points",
    ranges: "scope map",
  };
  const SIDES = ["left", "right"];

  /* Where the points of one group started and where they read, in pixels of the tile. */
  function listWalks(data, step, level, group) {
    const { scale, unit, tile } = data;
    const { walks } = step.levels[level] || {};
    const [height, width] = data.sizes[level];
    const each = [tile[1] / width, tile[0] / height]; // of the tile's pixels a cell
    const start = (i) => (step.initial === "bilinear" ? (i + 0.5) / scale : 0.5);
    const count = step.groups * scale * scale * height * width;
    const found = [];
    for (let point = 0; point < scale * scale; point++) {
      const [row, column] = [Math.floor(point / scale), point % scale];
      for (let pixel = 0; pixel < height * width; pixel++) {
        const [y, x] = [Math.floor(pixel / width), pixel % width];
        const at = (group * scale * scale + point) * height * width + pixel;
        const walk = walks ? [walks[at] / unit, walks[count + at] / unit] : [0, 0];
        const from = [x + start(column), y + start(row)];
        found.push({
          length: Math.hypot(...walk),
          from: from.map((p, axis) => p * each[axis]),
          to: from.map((p, axis) => (p + walk[axis]) * each[axis]),
        });
      }
    }
    return found;
  }

  const place = (point) => point.map((p) => p.toFixed(2)).join(" ");
  const median = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length / 2;
    return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
  };

  function build(body, options, data) {
    body.classList.add("viewer");
    const [height, width] = data.tile;
    const steps = Object.fromEntries(data.steps.map((step) => [step.name, step]));
    const state = {
      left: options.left,
      right: options.right,
      show: options.show || "prediction",
      level: Number(options.level || 1) - 1,
      group: 0,
      coast: true,
    };

    const box = `0 0 ${width} ${height}`;
    const sides = SIDES.map((side) =>
      svg("svg", { viewBox: box, role: "img", class: `viewer-side viewer-${side}` })
    );
    const line = element("div", { class: "viewer-line" });
    const stage = element("div", { class: "viewer-stage" }, ...sides, line);
    const names = SIDES.map((side) => element("span", { class: `viewer-name-${side}` }));
    const numbers = element("dl", { class: "viewer-numbers simple", "aria-live": "polite" });

    const picture = (name, attributes = {}) =>
      svg("image", { href: new URL(`${name}.png`, HERE), width, height, ...attributes });

    /* What one side shows of one step: nodes, and a remark in words. */
    function layer(step) {
      if (state.show === "image") return { nodes: [picture("tile")], remark: "from a satellite" };
      if (state.show === "truth") return { nodes: [picture("truth")], remark: "the true labels" };
      if (state.show === "prediction" || state.show === "error") {
        const wrong = ((100 * step.wrong) / (height * width)).toFixed(1);
        const ink = state.show === "error" ? " (magenta)" : "";
        const remark = `${wrong} % of the tile's pixels wrong${ink}`;
        return { nodes: [picture(`${step.name}-${state.show}`)], remark };
      }
      return state.show === "points" ? pointLayer(step) : rangeLayer(step);
    }

    function pointLayer(step) {
      const group = Math.min(state.group, step.groups - 1);
      const walks = listWalks(data, step, state.level, group);
      const lines = walks.map(({ from, to }) => `M${place(from)}L${place(to)}`).join("");
      const ends = walks.map(({ to }) => `M${place(to)}h0`).join("");
      const lengths = walks.map(({ length }) => length);
      const longest = number(Math.max(...lengths));
      const walked = `walks: median ${number(median(lengths))}, longest ${longest} feature pixels`;
      const set = step.groups > 1 ? `group ${group + 1} of ${step.groups}; ` : "";
      return {
        nodes: [
          picture("tile", { class: "viewer-pale" }),
          svg("path", { d: lines, class: "viewer-walks viewer-casing" }),
          svg("path", { d: lines, class: "viewer-walks" }),
          svg("path", { d: ends, class: `viewer-ends viewer-level-${state.level + 1}` }),
        ],
        remark: step.levels.length ? set + walked : "a fixed rule: no point moves",
      };
    }

    function rangeLayer(step) {
      const level = step.levels[state.level];
      const blank = svg("rect", { width, height, class: "viewer-blank" });
      if (!level) return { nodes: [blank], remark: "a fixed rule: no point moves" };
      if (typeof level.ranges === "number") {
        return { nodes: [blank], remark: `the same factor everywhere: ${level.ranges}` };
      }
      const { lowest, highest, far } = level.ranges;
      const ends = `ranges from ${number(lowest)} to ${number(highest)}`;
      const ink = `purple ${number(0.25 - far)}, white 0.25, orange ${number(0.25 + far)}`;
      return {
        nodes: [picture(`${step.name}-ranges-${state.level + 1}`)],
        remark: `${ends} (${ink})`,
      };
    }

    /* White with a dark casing on photographs, dark on drawings. */
    function coast() {
      const line = (kind) => svg("path", { d: data.coast, class: `viewer-coast ${kind}` });
      const drawing = ["truth", "prediction", "ranges"].includes(state.show);
      return drawing ? [line("viewer-ink")] : [line("viewer-casing"), line("")];
    }

    function update() {
      const rows = SIDES.map((side, n) => {
        const step = steps[state[side]];
        const { nodes, remark } = layer(step);
        sides[n].replaceChildren(...nodes, ...(state.coast ? coast() : []));
        const what = `${side} of the slider, ${step.label}: ${SHOWN[state.show]}, ${remark}`;
        sides[n].setAttribute("aria-label", what);
        names[n].textContent = step.label;
        const score = `boundary IoU on all validation tiles ${(100 * step.score).toFixed(1)} %`;
        const text = element("dd", { "data-side": side }, `${remark}; ${score}`);
        return element("div", {}, element("dt", {}, step.label), text);
      });
      numbers.replaceChildren(...rows);
      const moved = state.show === "points" || state.show === "ranges";
      controls.level.input.disabled = !moved;
      const most = Math.max(...SIDES.map((side) => steps[state[side]].groups));
      controls.group.input.disabled = state.show !== "points" || most === 1;
    }

    function wipe(share) {
      stage.style.setProperty("--share", `${share}%`);
    }
    const change = (name) => (value) => {
      state[name] = typeof state[name] === "number" ? Number(value) : value;
      update();
    };
    const named = data.steps.map(({ name, label }) => [name, label]);
    const share = (value) => `${value} % from the left`;
    const bar = { min: 0, max: 100, step: 1, value: 50, text: share };
    const levels = data.sizes.map((size, n) => [n, `${n + 1} (${size.join(" × ")})`]);
    const groups = [0, 1, 2, 3].map((n) => [n, `group ${n + 1}`]);
    const controls = {
      share: slider("Where left meets right", bar, wipe),
      left: select("Left step", named, state.left, change("left")),
      right: select("Right step", named, state.right, change("right")),
      show: select("Show", Object.entries(SHOWN), state.show, change("show")),
      level: select("Upsampler", levels, state.level, change("level")),
      group: select("Group", groups, state.group, change("group")),
      coast: checkbox("true coast", true, change("coast")),
    };

    /* Dragging on the picture moves the slider too. */
    function follow(event) {
      const { left, width: wide } = stage.getBoundingClientRect();
      const to = Math.round((100 * (event.clientX - left)) / wide);
      const share = Math.min(100, Math.max(0, to));
      controls.share.set(share);
      wipe(share);
    }
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      drag(stage, event, follow);
      follow(event);
    });

    const { share: wiper, ...others } = controls;
    const nodes = Object.values(others).map(({ node }) => node);
    body.append(
      element("div", {}, stage, element("div", { class: "viewer-names" }, ...names), wiper.node),
      element("div", {}, element("div", { class: "widget-controls" }, ...nodes), numbers)
    );
    wipe(50);
    update();
  }

  /* The data are loaded on the pages that show them alone, as a script: browsers fetch
     no JSON for a page that is read from disk. */
  if (document.querySelector(".step-viewer")) {
    const script = element("script", { src: new URL("steps.js", HERE) });
    script.addEventListener("load", () =>
      mount(".step-viewer", "Viewer of the trained steps", (body, options) =>
        build(body, options, window.LEARNED_STEPS)
      )
    );
    document.head.append(script);
  }
})();
