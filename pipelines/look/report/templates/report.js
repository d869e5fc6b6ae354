"use strict";
// The page can be read without this script, which only switches the theme and filters the reasons
// and the pairs.
const root = document.documentElement;
const toggle = document.getElementById("theme");
toggle.hidden = false;
toggle.addEventListener("click", () => {
  const prefersDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : prefersDark;
  root.dataset.theme = dark ? "light" : "dark";
});

function filter(form, cards, attributes) {
  if (!form) return;
  form.classList.add("ready");
  const apply = () => {
    const wanted = (form.querySelector("input") || { value: "" }).value.toLowerCase();
    let shown = 0;
    for (const card of cards) {
      const fits = attributes.every((name) => {
        const select = form.querySelector(`select[name="${name}"]`);
        return !select || !select.value || card.dataset[name] === select.value;
      });
      card.hidden = !fits || !card.textContent.toLowerCase().includes(wanted);
      shown += card.hidden ? 0 : 1;
    }
    form.querySelector("output").textContent = `${shown} of ${cards.length} shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

const pairs = document.getElementById("pair-filter");
filter(pairs, document.querySelectorAll(".pair"), ["kind", "source"]);
const reasons = document.getElementById("reason-filter");
filter(reasons, document.querySelectorAll(".reason"), ["stage"]);
if (reasons) {
  reasons.querySelector("button").addEventListener("click", () => {
    const all = [...document.querySelectorAll(".reason:not([hidden])")];
    const open = all.some((item) => !item.open);
    for (const item of all) item.open = open;
  });
}
