/* What the sampling explorer knows: the map, its points, and how far each has walked. */
(function (root) {
  "use strict";

  const node = typeof module === "object";
  const maths = node ? require("./explorer-maths.js") : root.SamplingMaths;

  const MAPS = {
    toy: { name: "toy, 2 × 2", height: 2, width: 2, values: [1, 2, 3, 4] },
    coast: {
      name: "coast, 4 × 5",
      height: 4,
      width: 5,
      values: [0, 0, 0, 1, 4, 0, 0, 1, 4, 4, 0, 1, 3, 4, 4, 0, 0, 2, 4, 3],
    },
  };

  class ExplorerModel {
    static FAR = 1.5; // the longest walk on one axis, in pixels

    /* `options`: map, initial, scale, factor, groups, channels. */
    constructor(options) {
      Object.assign(this, options);
      this.everywhere = false; // whether a walk is made in every pixel
      this.reset();
    }

    /* Every point to its start: also after a change of the map or the scale. */
    reset() {
      const { height, width, values } = MAPS[this.map];
      this.shape = { height, width, scale: this.scale, groups: this.groups };
      this.span = [Math.min(...values), Math.max(...values)];
      const opposite = values.map((value) => this.span[0] + this.span[1] - value);
      this.features = [values, opposite].slice(0, Math.max(this.channels, this.groups));
      // What the linear layer would say; times the factor these are walks in pixels.
      this.moves = new Float64Array(maths.offsetCount(this.shape));
      this.points = listPoints(this.shape);
      this.selected = this.points[0];
    }

    /* A new group begins with the points of the first: equal groups are one group. */
    setGroups(groups) {
      const { points, moves, selected } = this;
      this.groups = groups;
      this.reset();
      this.points.forEach((point, n) => {
        const { at } = points[n % points.length];
        point.at.forEach((to, axis) => (this.moves[to] = moves[at[axis]]));
      });
      this.selected = this.points[points.indexOf(selected) % this.points.length];
    }

    /* Move every point at random within its range, the same way on every visit. */
    scatter() {
      let seed = 7;
      this.moves.forEach((_, i) => {
        seed = (seed * 16807) % 2147483647;
        this.moves[i] = (2 * seed) / 2147483647 - 1;
      });
    }

    /* Choose the next point, or the one before (−1). */
    step(by) {
      const now = this.points.indexOf(this.selected) + by + this.points.length;
      this.selected = this.points[now % this.points.length];
    }

    /* The same point of the same pixel in another group. */
    chooseGroup(group) {
      const each = this.points.length / this.groups;
      this.selected = this.points[group * each + (this.points.indexOf(this.selected) % each)];
    }

    start({ x, y, row, column }) {
      const steps = maths.initialSteps(this.scale, this.initial);
      return { x: x + 0.5 + steps[column], y: y + 0.5 + steps[row] };
    }

    walk({ at }) {
      return { x: this.factor * this.moves[at[0]], y: this.factor * this.moves[at[1]] };
    }

    position(point) {
      const [start, walk] = [this.start(point), this.walk(point)];
      return { x: start.x + walk.x, y: start.y + walk.y };
    }

    /* Walk the selected point to (x, y) from its start, here or in every pixel. */
    walkTo({ x, y }) {
      const { group, own } = this.selected;
      const { FAR } = ExplorerModel;
      const moves = [x, y].map((d) => Math.min(Math.max(d, -FAR), FAR) / this.factor);
      for (const point of this.points) {
        const twin = this.everywhere && point.group === group && point.own === own;
        if (twin || point === this.selected) {
          point.at.forEach((to, axis) => (this.moves[to] = moves[axis]));
        }
      }
    }

    /* All that the explorer shows: maps for each channel, and numbers. */
    results() {
      const { features, moves, shape, initial, factor } = this;
      const { height, width } = shape;
      const { group } = this.selected;
      const read = maths.pointSample(features, moves, shape, initial, factor);
      const [minusNearest, minusBilinear] = ["nearest", "bilinear"].map((mode) =>
        maths.minus(read, maths.interpolate(features, shape, mode))
      );
      const crossed = maths
        .positions(moves, shape, initial, factor)
        .map((points) => maths.crossed(points, this.scale * height, this.scale * width))
        .reduce((all, one) => ({ count: all.count + one.count, of: all.of + one.of }));
      const { x, y } = this.position(this.selected);
      const own = features.filter(
        (_, channel) => Math.floor((channel * shape.groups) / features.length) === group
      );
      return {
        read,
        minusNearest,
        minusBilinear,
        nearest: maths.size(minusNearest),
        bilinear: maths.size(minusBilinear),
        overlap: maths.rangeOverlap(factor, this.scale, initial),
        crossed,
        outside: maths.outside(moves),
        selected: { x, y, reads: own.map((map) => maths.read(map, height, width, x, y)) },
      };
    }
  }

  /* All points, pixel by pixel, and where their x and y stand among the offsets. */
  function listPoints(shape) {
    const { height, width, scale, groups } = shape;
    const points = [];
    for (let group = 0; group < groups; group++) {
      for (let pixel = 0; pixel < height * width; pixel++) {
        for (let own = 0; own < scale * scale; own++) {
          const [y, x] = [Math.floor(pixel / width), pixel % width];
          const [row, column] = [Math.floor(own / scale), own % scale];
          const index = (axis) =>
            maths.offsetIndex(shape, axis, group, row, column, y, x);
          points.push({ group, own, y, x, row, column, at: [index(0), index(1)] });
        }
      }
    }
    return points;
  }

  root.ExplorerModel = ExplorerModel;
  root.EXPLORER_MAPS = MAPS;
  if (node) module.exports = { ExplorerModel, MAPS };
})(typeof window === "object" ? window : globalThis);
