/* The drawings of the sampling explorer: the points over the map, and maps of numbers. */
(function () {
  "use strict";

  const { element, svg, number } = window.Widget;
  const UNIT = 100; // user units of the drawing in a pixel of the small map
  const MARGIN = 0.6; // of the surroundings, in pixels of the small map
  const LOW = [127, 178, 214]; // water and land, as on the book's label maps
  const HIGH = [234, 223, 191];
  const LESS = [153, 142, 195]; // purple
  const SAME = [255, 255, 255];
  const MORE = [241, 163, 64]; // orange
  const CHANNELS = ["A", "B"];

  const mix = (from, to, t) => `rgb(${from.map((c, i) => Math.round(c + t * (to[i] - c)))})`;
  const valueColour = (value, [low, high]) => mix(LOW, HIGH, (value - low) / (high - low));
  const gapColour = (gap, [low, high]) =>
    mix(SAME, gap < 0 ? LESS : MORE, Math.min(1, (2 * Math.abs(gap)) / (high - low)));

  /* A map of numbers in coloured cells, with the numbers where they are legible. The
     note stands in the caption alone: those who hear the numbers do not need it. */
  function numberMap(rows, columns, title, colour, note) {
    const cells = Array.from({ length: rows * columns }, (_, i) => {
      const [x, y] = [(i % columns) * UNIT, Math.floor(i / columns) * UNIT];
      return {
        box: svg("rect", { x, y, width: UNIT, height: UNIT, class: "explorer-cell" }),
        text: svg("text", { x: x + UNIT / 2, y: y + UNIT / 2, class: "explorer-value" }),
      };
    });
    const size = `0 0 ${columns * UNIT} ${rows * UNIT}`;
    const picture = svg("svg", { viewBox: size, role: "img" });
    picture.append(...cells.flatMap(({ box, text }) => [box, text]));
    const legible = columns <= 4;
    const before = [];
    function update(values) {
      values.forEach((value, i) => {
        if (value === before[i]) return;
        before[i] = value;
        cells[i].box.setAttribute("fill", colour(value));
        if (legible) cells[i].text.textContent = number(value);
      });
      const listed = legible ? `: ${Array.from(values, number).join(", ")}` : "";
      picture.setAttribute("aria-label", `${title}, ${rows} × ${columns} values${listed}`);
    }
    return { node: element("figure", {}, picture, element("figcaption", {}, title, note)), update };
  }

  /* For each channel what is read, and how it differs from the fixed rules. */
  function resultPanels({ shape, features, span }) {
    const { height, width, scale } = shape;
    const value = (v) => valueColour(v, span);
    const gap = (v) => gapColour(v, span);
    return features.map((_, channel) => {
      const name = features.length > 1 ? CHANNELS[channel] : "X′";
      const panels = [
        [`${name}, as it is read`, value, ". Beside it, orange is more and purple less."],
        [`${name} − nearest`, gap, ""],
        [`${name} − bilinear`, gap, ""],
      ];
      return panels.map((panel) => numberMap(height * scale, width * scale, ...panel));
    });
  }

  /* The small map under the points of all groups. Outside it the border value holds. */
  function pointMap(model, helpId) {
    const { shape, features, span, points } = model;
    const { height, width, scale } = shape;
    const box = [-MARGIN, -MARGIN, width + 2 * MARGIN, height + 2 * MARGIN];
    const picture = svg("svg", {
      viewBox: box.map((length) => length * UNIT).join(" "),
      class: "explorer-points",
      role: "application",
      tabindex: 0,
      "aria-describedby": helpId,
    });
    const cells = [];
    for (let y = -1; y <= height; y++) {
      for (let x = -1; x <= width; x++) cells.push(mapCell(x, y, shape));
    }
    picture.append(...cells.flatMap(({ nodes }) => nodes));
    const layer = () => picture.appendChild(svg("g"));
    const layers = { range: layer(), walk: layer(), dot: layer(), hit: layer() };
    const radius = { dot: 18 / scale, hit: 60 / scale };
    const drawn = points.map(() => {
      const nodes = {
        range: svg("rect", { class: "explorer-range" }),
        walk: svg("line", { class: "explorer-walk" }),
        dot: svg("circle", { class: "explorer-dot", r: radius.dot }),
        hit: svg("circle", { class: "explorer-hit", r: radius.hit }),
      };
      for (const [name, node] of Object.entries(nodes)) layers[name].append(node);
      return nodes;
    });

    const before = []; // most points stay where they are: drawing them again takes time

    function update() {
      const { selected, factor, groups } = model;
      const shown = features[groups > 1 ? selected.group : 0];
      for (const { nodes, index } of cells) {
        nodes[0].setAttribute("fill", valueColour(shown[index], span));
        if (nodes[1]) nodes[1].textContent = shown[index];
      }
      points.forEach((point, n) => {
        const same = point.group === selected.group;
        const own = same && point.x === selected.x && point.y === selected.y;
        const kind = point === selected ? "selected" : own ? "own" : same ? "other" : "group";
        const [start, end] = [model.start(point), model.position(point)];
        const now = [start.x, start.y, end.x, end.y, factor, kind].join();
        if (now !== before[n]) place(drawn[n], start, end, factor, kind);
        before[n] = now;
        // What is selected lies on top of what is not.
        if (own) for (const [name, node] of Object.entries(drawn[n])) layers[name].append(node);
      });
      const last = drawn[points.indexOf(selected)];
      for (const name of ["dot", "hit"]) layers[name].append(last[name]);
    }
    return { node: picture, update };
  }

  function mapCell(x, y, { height, width }) {
    const row = Math.min(Math.max(y, 0), height - 1);
    const column = Math.min(Math.max(x, 0), width - 1);
    const inside = x === column && y === row;
    const cell = svg("rect", {
      x: x * UNIT,
      y: y * UNIT,
      width: UNIT,
      height: UNIT,
      class: inside ? "explorer-cell" : "explorer-cell explorer-border",
    });
    const at = { x: (x + 0.5) * UNIT, y: (y + 0.5) * UNIT, class: "explorer-pixel" };
    return { nodes: inside ? [cell, svg("text", at)] : [cell], index: row * width + column };
  }

  /* Put one point's range, walk and dots where they belong. */
  function place(nodes, start, end, factor, kind) {
    const side = 2 * factor;
    const dot = { cx: end.x, cy: end.y };
    const places = {
      range: { x: start.x - factor, y: start.y - factor, width: side, height: side },
      walk: { x1: start.x, y1: start.y, x2: end.x, y2: end.y },
      dot,
      hit: dot,
    };
    for (const [name, node] of Object.entries(nodes)) {
      for (const [key, value] of Object.entries(places[name])) node.setAttribute(key, value * UNIT);
      node.dataset.kind = kind;
    }
  }

  /* The place of a pointer in pixels of the small map. */
  function placeOf(picture, { clientX, clientY }) {
    const matrix = picture.getScreenCTM().inverse();
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(matrix);
    return { x: x / UNIT, y: y / UNIT };
  }

  const share = ({ count, of }) => `${count} of ${of}`;
  const gaps = ({ mean, max }) => `mean ${number(mean)}, max ${number(max)}`;
  const NUMBERS = [
    ["overlap", "Width that neighbours share", (f) => `${Math.round(100 * f.overlap)} %`],
    ["crossed", "Neighbours in the wrong order", (f) => share(f.crossed)],
    ["outside", "Points outside their range", (f) => share(f.outside)],
    ["nearest", "Difference to nearest", (f) => gaps(f.nearest)],
    ["bilinear", "Difference to bilinear", (f) => gaps(f.bilinear)],
  ];

  /* The numbers as text, and exactly, for whoever wants to check them. Only what changed
     is written, so that a screen reader announces no more than that. */
  function numberList() {
    const values = NUMBERS.map(([name]) => element("dd", { "data-number": name }));
    const rows = NUMBERS.map(([, label], n) =>
      element("div", {}, element("dt", {}, label), values[n])
    );
    function update(found) {
      NUMBERS.forEach(([name, , text], n) => {
        const written = text(found);
        if (values[n].textContent !== written) values[n].textContent = written;
        values[n].dataset.value = JSON.stringify(found[name]);
      });
    }
    // The theme takes any other list with a class for a signature of the reference.
    const attributes = { class: "explorer-numbers simple", "aria-live": "polite" };
    return { node: element("dl", attributes, ...rows), update };
  }

  /* The selected point in a sentence. */
  function describe(model, { x, y, reads }) {
    const { scale, groups, selected } = model;
    const set = groups > 1 ? `In ${setName(selected.group)}, point` : "Point";
    const first = selected.group * (groups > 1);
    const named = (c) => (model.features.length > 1 ? `${CHANNELS[first + c]} = ` : "");
    const values = reads.map((value, c) => named(c) + number(value));
    return (
      `${set} ${selected.own + 1} of ${scale * scale} of the pixel in row ` +
      `${selected.y + 1}, column ${selected.x + 1}, is at x = ${number(x)}, ` +
      `y = ${number(y)} and reads ${values.join(", ")}.`
    );
  }

  const setName = (group) => `set ${CHANNELS[group]}`;

  window.ExplorerDraw = { pointMap, resultPanels, placeOf, numberList, setName, describe };
})();
