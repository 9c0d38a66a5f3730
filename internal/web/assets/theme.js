// Applies the theme before anything is drawn: the one chosen here before, or else
// the system's. A plain script in the head, because modules come too late.
document.documentElement.dataset.theme =
  localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
