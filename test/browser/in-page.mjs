// Functions that run inside of the page: they may use nothing but what a browser has.

/** The smallest contrast of any text with what is behind it, as WCAG 2 reckons it. */
export function lowestContrast() {
  const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) =>
    rgb
      .slice(0, 3)
      .map((value) => value / 255)
      .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
      .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const backOf = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let lowest = 21;
  while (walker.nextNode()) {
    if (walker.currentNode.textContent.trim() === '') continue;
    const element = walker.currentNode.parentElement;
    const [a, b] = [luminance(channels(getComputedStyle(element).color)), luminance(backOf(element))];
    lowest = Math.min(lowest, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
  }
  return lowest;
}

/** The smallest size of any text, in pixels. */
export function smallestFont() {
  return Math.min(
    ...[...document.querySelectorAll('body *')].map((one) => Number.parseFloat(getComputedStyle(one).fontSize)),
  );
}

/** How far the page reaches beyond the window, in pixels. */
export function overflow() {
  return document.documentElement.scrollWidth - window.innerWidth;
}

/** The bars of each chart over time. */
export function chartBars() {
  return [...document.querySelectorAll('.columns')].map((list) =>
    [...list.querySelectorAll('li')].map((bar) => ({
      width: bar.getBoundingClientRect().width,
      height: [...bar.querySelectorAll('i')].reduce((sum, part) => sum + part.getBoundingClientRect().height, 0),
      room: bar.querySelector('.stack').getBoundingClientRect().height,
    })),
  );
}

/** The smallest gap between two dates below a chart, in pixels. */
export function smallestDateGap() {
  const gaps = [...document.querySelectorAll('.columns')].flatMap((list) => {
    const boxes = [...list.querySelectorAll('b')].map((date) => date.getBoundingClientRect());
    return boxes.slice(1).map((box, at) => box.left - boxes[at].right);
  });
  return Math.min(...gaps);
}
