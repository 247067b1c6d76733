// Search: exact names first, then beginnings, then words in titles, then words in texts; among equals the reference leads.
(() => {
  const box = document.querySelector(".md-search__input"), list = document.querySelector(".md-search-result__list")
  if (!box) return
  const meta = document.querySelector(".md-search-result__meta"), toggle = document.getElementById("__search")
  const top = new URL(document.currentScript.src.replace(/assets\/search\.js.*/, ""))
  let loading

  const load = () => loading ??= new Promise(done => {
    const script = document.createElement("script")
    script.src = new URL("search/entries.js", top)
    script.onload = done
    document.head.append(script)
  })

  const score = ([title, rank, place, text], query, words) => {
    const low = title.toLowerCase(), name = low.split(".").pop(), wanted = query.toLowerCase()
    let found = 0
    if (title === query) found = 1000
    else if (low === wanted) found = 950
    else if (name === wanted) found = 900
    else if (low.startsWith(wanted) || name.startsWith(wanted)) found = 600 - title.length
    else if (words.every(word => low.includes(word))) found = 400 - title.length
    if (found) return found - 20 * rank
    const body = text.toLowerCase()
    if (!words.every(word => low.includes(word) || body.includes(word))) return 0
    const often = Math.min(body.split(wanted).length - 1, 5), lesson = place.startsWith("tutorials") ? 60 : 0
    return 100 + 50 * words.filter(word => low.includes(word)).length + 15 * often + lesson - 5 * rank
  }

  const escape = text => text.replace(/[&<>"]/g, letter => `&#${letter.charCodeAt()};`)
  const marked = (text, words) => escape(text).replace(
    new RegExp(words.map(word => escape(word).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|"), "gi"), "<mark>$&</mark>")

  const teaser = (text, words) => {
    const at = Math.min(...words.map(word => text.toLowerCase().indexOf(word)).filter(place => place >= 0), text.length)
    const start = at > 60 && at < text.length ? at - 40 : 0
    return (start ? "… " : "") + marked(text.slice(start, start + 150), words)
  }

  const results = query => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean)
    if (!words.length) return []
    const found = window.searchEntries.map(entry => [score(entry, query, words), entry]).filter(([points]) => points > 0)
    return found.sort(([a], [b]) => b - a).slice(0, 25).map(([, entry]) => ({ entry, words }))
  }

  const show = async () => {
    await load()
    const found = results(box.value.trim())
    list.innerHTML = found.map(({ entry: [title, , place, text, page], words }) =>
      `<li class="md-search-result__item"><a href="${new URL(place, top)}" class="md-search-result__link" tabindex="-1">
        <article class="md-search-result__article md-typeset"><h2>${marked(title || page, words)}
        ${page ? `<small>${escape(page)}</small>` : ""}</h2><p>${teaser(text, words)}</p></article></a></li>`).join("")
    meta.textContent = !box.value.trim() ? "Type to search" : found.length ? `${found.length} found` : "Nothing found"
  }

  const move = step => {
    const links = [...list.querySelectorAll("a")], now = links.indexOf(document.activeElement)
    const next = now + step
    if (next < 0) box.focus()
    else links[Math.min(next, links.length - 1)]?.focus()
  }

  box.addEventListener("focus", () => { toggle.checked = true; load() })
  box.addEventListener("input", show)
  box.form.addEventListener("submit", event => { event.preventDefault(); list.querySelector("a")?.click() })
  box.form.addEventListener("reset", () => setTimeout(() => { show(); box.focus() }))
  toggle.addEventListener("change", () => toggle.checked && setTimeout(() => box.focus(), 100))
  document.addEventListener("click", event => {
    if (toggle.checked && !event.target.closest(".md-search, [for=__search]")) toggle.checked = false
    if (event.target.closest(".md-search-result__link")) toggle.checked = false
  })
  document.addEventListener("keydown", event => {
    const typing = /INPUT|TEXTAREA/.test(document.activeElement.tagName)
    if (event.key === "Escape" && toggle.checked) { toggle.checked = false; box.blur() }
    else if ((event.key === "/" || event.key === "s") && !typing) { event.preventDefault(); box.focus() }
    else if (toggle.checked && event.key === "ArrowDown") { event.preventDefault(); move(1) }
    else if (toggle.checked && event.key === "ArrowUp") { event.preventDefault(); move(-1) }
  })
  window.searchResults = async query => { await load(); return results(query).map(({ entry }) => entry[2]) }
})()
