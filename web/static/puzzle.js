// The puzzle of a page that anybody may ask something of: a number such that the
// SHA-256 of the puzzle, a colon and the number begins with so many bits of 0. It
// is looked for while the page is read, in small parts, so that typing goes on.

const together = 256; // hashes at once

const zeros = (sum) => {
  const view = new DataView(sum);
  const first = Math.clz32(view.getUint32(0));
  return first < 32 ? first : 32 + Math.clz32(view.getUint32(4));
};

async function solve(puzzle, bits) {
  const letters = new TextEncoder();
  for (let from = 0; ; from += together) {
    const sums = await Promise.all(Array.from({ length: together }, (_, i) =>
      crypto.subtle.digest("SHA-256", letters.encode(`${puzzle}:${from + i}`))));
    const at = sums.findIndex((sum) => zeros(sum) >= bits);
    if (at >= 0) return String(from + at);
    await new Promise((go) => setTimeout(go));
  }
}

for (const form of document.querySelectorAll("form[data-lanyard-puzzle]")) {
  const { lanyardPuzzle: puzzle, lanyardBits: bits, lanyardWorking: working } = form.dataset;
  const field = form.querySelector("input[name=answer]");
  const say = form.querySelector("[data-lanyard-say]");
  let waits = false;
  form.addEventListener("submit", (event) => {
    if (field.value) return;
    event.preventDefault();
    waits = true;
    say.textContent = working;
    say.hidden = false;
  });
  solve(puzzle, Number(bits)).then((answer) => {
    field.value = answer;
    say.hidden = true;
    if (!waits) return;
    delete form.dataset.sent;
    form.requestSubmit();
  });
}
