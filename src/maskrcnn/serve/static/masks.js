// Masks in the browser: COCO's compressed run lengths become a map of objects, and the map becomes colours.

/** The run lengths that a string spells: 5 bits a character, and from the fourth on differences to the one before last. */
export function countsOf(text) {
  const counts = [];
  for (let i = 0; i < text.length; ) {
    let value = 0, place = 0, group;
    do {
      group = text.charCodeAt(i++) - 48;
      value |= (group & 31) << (5 * place++);
    } while (group & 32);
    if (group & 16) value |= -1 << (5 * place);
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}

/** The pixels of an object as [column, first row, end row]: of its mask, or of its box where it has none. */
export function* columnsOf(object, width, height) {
  if (!object.segmentation) {
    const [x, y, w, h] = object.bbox;
    const top = Math.max(Math.floor(y), 0), end = Math.min(Math.ceil(y + h), height);
    for (let column = Math.max(Math.floor(x), 0); column < Math.min(x + w, width); column++) yield [column, top, end];
    return;
  }
  let position = 0, inside = false;
  for (const count of countsOf(object.segmentation.counts)) {
    if (inside) {
      for (let start = position, end = position + count; start < end; ) {
        const column = Math.floor(start / height), row = start - column * height;
        const last = Math.min(row + end - start, height);
        yield [column, row, last];
        start += last - row;
      }
    }
    position += count;
    inside = !inside;
  }
}

/** How many pixels an object has. */
export function areaOf(object, width, height) {
  let area = 0;
  for (const [, first, end] of columnsOf(object, width, height)) area += end - first;
  return area;
}

/**
 * Which object each pixel of a canvas shows: its place in `objects` plus 1, or 0. Small objects lie on top.
 * The canvas is `scale` times as large as the picture of width x height.
 */
export function objectMap(objects, width, height, scale) {
  const across = Math.max(Math.round(width * scale), 1), down = Math.max(Math.round(height * scale), 1);
  const map = new Uint32Array(across * down);
  const fromLarge = objects.map((_, i) => i).sort((a, b) => objects[b].area - objects[a].area);
  for (const i of fromLarge) {
    for (const [column, first, end] of columnsOf(objects[i], width, height)) {
      const x = Math.min(Math.floor(column * scale), across - 1), stop = Math.min(Math.ceil(end * scale), down);
      for (let y = Math.floor(first * scale); y < stop; y++) map[y * across + x] = i + 1;
    }
  }
  return { map, across, down };
}

/** Colours for a map of objects: fills of the given strength, 0 to 1, strong borders; `chosen` is lit up. */
export function paint({ map, across, down }, colours, strength, chosen = 0) {
  const pixels = new Uint8ClampedArray(4 * map.length);
  for (let y = 0, i = 0; y < down; y++) {
    for (let x = 0; x < across; x++, i++) {
      const object = map[i];
      if (!object) continue;
      const border =
        (x && map[i - 1] !== object) || (x + 1 < across && map[i + 1] !== object) ||
        (y && map[i - across] !== object) || (y + 1 < down && map[i + across] !== object);
      const fill = object === chosen ? Math.min(strength + 0.35, 1) : strength;
      pixels.set(border && object === chosen ? [255, 255, 255] : colours[object - 1], 4 * i);
      pixels[4 * i + 3] = border ? 255 : Math.max(255 * fill, 1);
    }
  }
  return new ImageData(pixels, across, down);
}

/** A colour for each number, unlike those of its neighbours: steps of the golden ratio around the circle of hues. */
export function colourOf(number) {
  const hue = (0.57 + number * 0.618033988749895) % 1, saturation = [0.8, 0.6, 0.95][number % 3];
  const channel = (n) => {
    const k = (n + 6 * hue) % 6;
    return Math.round(255 * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}
