// Before the first paint: the theme that was chosen, so that a dark page never flashes white.

try {
  document.documentElement.dataset.theme = localStorage.getItem("driftloop-theme") ?? "system";
} catch {
  document.documentElement.dataset.theme = "system"; // this browser keeps nothing for pages
}
