/*
 * report_style - the look of the page: light, dark and printed, wide and narrow.
 *
 * Charts come with the colours of light paper (bench/report/chart_style.h) and black ink that
 * became currentColor; here each colour is mapped to a variable that the scheme sets.
 */
#include "bench/report/chart_style.h"
#include "bench/report/report.h"

static const char base[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#59626d;--line:#d3d9df;"
    "--panel:#f5f7f9;--grid:#c3cad1;--bad:#a3201a;--bad-bg:#fdf0ef;--note-bg:#fff6dc;"
    "--note:#6b4e00;--link:#0550ae}\n"
    "*{box-sizing:border-box}\n"
    "html{-webkit-text-size-adjust:100%;text-size-adjust:100%}\n"
    "body{margin:0;background:var(--bg);color:var(--fg);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;"
    "overflow-wrap:break-word}\n"
    "main{max-width:1180px;margin:0 auto;padding:24px 16px 48px}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 .6rem}\n"
    "h2{font-size:1.35rem;line-height:1.3;margin:2.6rem 0 .3rem;padding-top:1rem;"
    "border-top:1px solid var(--line)}\n"
    "h3{font-size:1.05rem;margin:1.6rem 0 .5rem}\n"
    "p{margin:.4rem 0;max-width:72ch}\n"
    "a{color:var(--link)}\n"
    ".lead{font-size:1.2rem;margin:.2rem 0 1rem;max-width:64ch}\n"
    ".soft,figcaption,.range{color:var(--soft)}\n"
    ".notice{padding:.6rem .9rem;margin:.8rem 0;border-left:4px solid var(--note);"
    "background:var(--note-bg);max-width:none}\n"
    ".notice.bad{border-color:var(--bad);background:var(--bad-bg)}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.2rem;margin:1rem 0;"
    "font-size:.94rem}\n"
    "dt{color:var(--soft)}\ndd{margin:0;min-width:0}\n"
    "nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:.8rem "
    "0}\n"
    ".scroll{overflow-x:auto;max-width:100%;margin:.4rem 0 1rem}\n"
    ".scroll:focus-visible,summary:focus-visible,a:focus-visible{outline:2px solid var(--link);"
    "outline-offset:2px}\n"
    "table{border-collapse:collapse;font-size:.94rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line);text-align:right;"
    "vertical-align:top;white-space:nowrap}\n"
    "th:first-child,td.words{text-align:left}\n"
    "td.words{white-space:normal;min-width:20rem}\n"
    "thead th{color:var(--soft);font-weight:600;vertical-align:bottom;white-space:normal;"
    "max-width:9rem}\n"
    ".wide th,.wide td{text-align:left}\n"
    "h3::first-letter{text-transform:uppercase}\n"
    "tbody th{font-weight:600}\n"
    ".range{display:block;font-size:.87em}\n"
    ".reference>*{background:var(--panel)}\n"
    ".failed td,.failed strong{color:var(--bad)}\n"
    ".key{display:inline-block;width:.7em;height:.7em;margin-right:.55em;border-radius:2px}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));"
    "gap:1rem 1.6rem;align-items:start}\n"
    ".packed{display:block;columns:2 480px;column-gap:1.6rem}\n"
    "figure{margin:0;min-width:0;max-width:640px;break-inside:avoid}\n"
    "figcaption{font-size:.86rem;line-height:1.4;margin:.2rem 0 .6rem}\n"
    ".chart{display:block;width:100%;height:auto;color:var(--fg)}\n"
    ".chart .gridline{stroke:var(--grid)}\n"
    ".chart text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n"
    "details{margin:.7rem 0}\nsummary{cursor:pointer;font-weight:600}\n"
    "pre{background:var(--panel);padding:.8rem;overflow-x:auto;font-size:.85rem;margin:.4rem 0}\n"
    "footer{margin-top:2.5rem;font-size:.86rem;color:var(--soft)}\n";

static const char dark[] =
    "@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e4e8ec;--soft:#a3adb8;"
    "--line:#333b44;--panel:#1c2228;--grid:#3f4851;--bad:#ff9a92;--bad-bg:#321c1b;"
    "--note-bg:#2e2813;--note:#e6c35c;--link:#7fb6ff;";

/* Paper is light whatever the screen is. */
static const char print[] =
    "@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--soft:#333;--line:#999;"
    "--panel:#f2f2f2;--grid:#bbb;--bad:#800;--bad-bg:#fff;--note-bg:#fff;--note:#000;--link:#000;";

static const char print_layout[] =
    "@page{margin:14mm}\n"
    "body{font-size:10.5pt}main{max-width:none;padding:0}nav{display:none}\n"
    "tr,figure,.notice{break-inside:avoid}thead{display:table-header-group}\n"
    "h1,h2,h3,summary{break-after:avoid}\n"
    ".scroll,pre{overflow:visible}pre{white-space:pre-wrap}\n"
    "table{font-size:8.5pt}th,td{padding:.25rem .6rem .25rem 0}\n"
    ".wide table{font-size:6.5pt}.wide th,.wide td{white-space:normal}\n"
    ".figures{display:block;columns:auto}figure{max-width:118mm;margin:0 0 4mm}\n"
    "details::details-content{content-visibility:visible;display:block;block-size:auto}\n"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}\n}\n";

static void palette(FILE *out, bool is_dark)
{
    for (unsigned i = 0; i < BENCH_COLOURS; i++)
        (void)fprintf(out, "--c%u:%s;", i,
                      is_dark ? bench_style(i).dark_colour : bench_style(i).colour);
}

void bench_report_style(FILE *out)
{
    (void)fputs(base, out);
    (void)fputs(":root{", out);
    palette(out, false);
    (void)fputs("}\n", out);
    for (unsigned i = 0; i < BENCH_COLOURS; i++) {
        const char *colour = bench_style(i).colour;
        (void)fprintf(out,
                      ".c%u{background:var(--c%u)}.chart [stroke='%s']{stroke:var(--c%u)}"
                      ".chart [fill='%s']{fill:var(--c%u)}.chart [color='%s']{color:var(--c%u)}\n",
                      i, i, colour, i, colour, i, colour, i);
    }
    (void)fputs(dark, out);
    palette(out, true);
    (void)fputs("}}\n", out);
    (void)fputs(print, out);
    palette(out, false);
    (void)fputs("}\n", out);
    (void)fputs(print_layout, out);
}
