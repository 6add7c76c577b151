/*
 * chart_style - how a series looks, the same in every chart.
 */
#include "bench/report/chart_style.h"

#include <stddef.h>

static const char *const colours[BENCH_COLOURS][2] = {
    {"#0072b2", "#4fb0ec"}, /* blue */
    {"#d55e00", "#ff8a3c"}, /* vermillion */
    {"#009e73", "#2fcf9f"}, /* bluish green */
    {"#b4558e", "#e794c6"}, /* reddish purple */
    {"#a67c00", "#f0c445"}, /* dark yellow */
    {"#332288", "#a99bf5"}, /* indigo */
    {"#882255", "#e0709f"}, /* wine */
    {"#5b6470", "#b8c1cb"}, /* slate */
};

/* How many there are shares no factor with the 7 colours that come again: no style does for long.
 */
static const char *const dashes[] = {"solid",     "(9,4)",  "(2,3)",
                                     "(9,3,2,3)", "(14,4)", "(6,3,2,3,2,3)"};
static const unsigned points[] = {7, 5, 9, 13, 11, 6, 4, 8, 12, 10, 2};

static const char *const theory_dashes[] = {"(3,4)", "(10,5)", "(10,4,2,4)"};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

unsigned bench_style_colour(unsigned style)
{
    return style == 0 ? 0 : 1 + (style - 1) % (BENCH_COLOURS - 1);
}

struct bench_style bench_style(unsigned style)
{
    return (struct bench_style){
        .colour = colours[bench_style_colour(style)][0],
        .dark_colour = colours[bench_style_colour(style)][1],
        .dash = dashes[style % LEN(dashes)],
        .point = points[style % LEN(points)],
    };
}

struct bench_style bench_style_theory(unsigned nth)
{
    return (struct bench_style){
        .colour = "#77808a",
        .dark_colour = "#98a2ad",
        .dash = theory_dashes[nth % LEN(theory_dashes)],
        .point = 0,
    };
}
