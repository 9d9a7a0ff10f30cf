/* The arithmetic of the sampling explorer, as pure functions.

   The conventions are those of dysample_lib/sampling.py. Positions are in pixels of the
   small map, from its upper left corner: the centre of pixel i lies at i + 0.5. Offsets
   are relative to that centre and have the layout (2, g, s, s, H, W), flat: the axis
   (x, then y), the group, the row and column of the point, the row and column of its
   pixel. Outside the map the border value is read. */
(function (root) {
  "use strict";

  /* Where the s × s points of a pixel start, from its centre, on one axis. */
  function initialSteps(scale, mode) {
    return Array.from({ length: scale }, (_, i) =>
      mode === "bilinear" ? (i + 0.5) / scale - 0.5 : 0
    );
  }

  /* Index of an offset in the flat layout; `shape` has height, width, scale, groups. */
  function offsetIndex(shape, axis, group, row, column, y, x) {
    const { height, width, scale, groups } = shape;
    const point = ((axis * groups + group) * scale + row) * scale + column;
    return (point * height + y) * width + x;
  }

  function offsetCount({ height, width, scale, groups }) {
    return 2 * groups * scale * scale * height * width;
  }

  /* Positions of all points, for each group two flat arrays of s·H × s·W: centre +
     initial position + reach · offset. */
  function positions(offsets, shape, initial, reach) {
    const { height, width, scale, groups } = shape;
    const steps = initialSteps(scale, initial);
    const columns = scale * width;
    return Array.from({ length: groups }, (_, group) => {
      const x = new Float64Array(scale * height * columns);
      const y = new Float64Array(scale * height * columns);
      for (let to = 0; to < x.length; to++) {
        const [i, j] = [Math.floor(to / columns), to % columns];
        const [row, column] = [i % scale, j % scale];
        const pixel = [Math.floor(i / scale), Math.floor(j / scale)];
        const at = [group, row, column, ...pixel];
        x[to] = pixel[1] + 0.5 + steps[column] + reach * offsets[offsetIndex(shape, 0, ...at)];
        y[to] = pixel[0] + 0.5 + steps[row] + reach * offsets[offsetIndex(shape, 1, ...at)];
      }
      return { x, y };
    });
  }

  /* The value of a flat H × W map at one position, interpolated between four pixels. */
  function read(map, height, width, x, y) {
    const clamp = (value, size) => Math.min(Math.max(value - 0.5, 0), size - 1);
    const [column, row] = [clamp(x, width), clamp(y, height)];
    const [left, top] = [Math.floor(column), Math.floor(row)];
    const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
    const [u, v] = [column - left, row - top];
    return (
      (1 - v) * ((1 - u) * map[top * width + left] + u * map[top * width + right]) +
      v * ((1 - u) * map[bottom * width + left] + u * map[bottom * width + right])
    );
  }

  /* Upsample C flat maps: each C / g neighbouring channels are read at the points of
     their group. Returns C flat maps of s·H × s·W. */
  function pointSample(features, offsets, shape, initial, reach) {
    const { height, width, groups } = shape;
    const points = positions(offsets, shape, initial, reach);
    return features.map((map, channel) => {
      const { x, y } = points[Math.floor((channel * groups) / features.length)];
      return x.map((_, i) => read(map, height, width, x[i], y[i]));
    });
  }

  /* Nearest or bilinear interpolation: the points at their initial positions. */
  function interpolate(features, shape, mode) {
    const single = { ...shape, groups: 1 };
    return pointSample(features, new Float64Array(offsetCount(single)), single, mode, 1);
  }

  /* The share of its width that a range has in common with its neighbour's: half-width
     `factor`, starts 1 / s apart, or all at one place. */
  function rangeOverlap(factor, scale, initial) {
    const apart = initial === "bilinear" ? 1 / scale : 0;
    return Math.max(0, 1 - apart / (2 * factor));
  }

  /* Neighbouring points of one group in the wrong order: a left one to the right of the
     next in its row, or an upper one below the next in its column. */
  function crossed({ x, y }, rows, columns) {
    let [count, of] = [0, 0];
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        const here = i * columns + j;
        if (j + 1 < columns) {
          count += x[here + 1] < x[here];
          of += 1;
        }
        if (i + 1 < rows) {
          count += y[here + columns] < y[here];
          of += 1;
        }
      }
    }
    return { count, of };
  }

  /* How many points have left their range: |offset| > 1 before the factor. */
  function outside(offsets) {
    const half = offsets.length / 2;
    let count = 0;
    for (let i = 0; i < half; i++) {
      // A point dragged to the edge of its range is inside, whatever rounding says.
      count += Math.max(Math.abs(offsets[i]), Math.abs(offsets[half + i])) > 1 + 1e-9;
    }
    return { count, of: half };
  }

  /* The difference of two lists of flat maps, map by map. */
  function minus(first, second) {
    return first.map((map, channel) => map.map((value, i) => value - second[channel][i]));
  }

  /* Mean and largest absolute value of a list of flat maps. */
  function size(maps) {
    const absolute = maps.flatMap((map) => Array.from(map, Math.abs));
    const sum = absolute.reduce((all, value) => all + value, 0);
    return { mean: sum / absolute.length, max: Math.max(...absolute) };
  }

  const maths = {
    initialSteps,
    offsetIndex,
    offsetCount,
    positions,
    read,
    pointSample,
    interpolate,
    rangeOverlap,
    crossed,
    outside,
    minus,
    size,
  };
  root.SamplingMaths = maths;
  if (typeof module === "object") module.exports = maths;
})(typeof window === "object" ? window : globalThis);
