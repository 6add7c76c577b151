/*
 * quantity - sizes, rates, durations and shares as people write and read them.
 *
 * Whole numbers are exact up to 2^64 - 1; what stands behind a decimal point counts to nine digits.
 */
#include "cli/quantity.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FRACTION_DIGITS_MAX 9

struct unit {
    const char *name;
    double factor; /* exact: a power of two or of ten below 2^53 */
};

struct number {
    uint64_t whole;
    double fraction; /* in [0, 1) */
};

/* Digits with at most one point among them. Returns what follows, NULL when there is no number. */
static const char *number_read(const char *text, struct number *out, int *err)
{
    const char *p = text;
    double scale = 0.1;

    *out = (struct number){0};
    *err = VLY_E_INVALID;
    if (!isdigit((unsigned char)*p))
        return NULL;
    for (; isdigit((unsigned char)*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (out->whole > (UINT64_MAX - digit) / 10) {
            *err = VLY_E_LIMIT;
            return NULL;
        }
        out->whole = out->whole * 10 + digit;
    }
    if (*p != '.')
        return p;
    p++;
    if (!isdigit((unsigned char)*p))
        return NULL;
    for (int i = 0; isdigit((unsigned char)*p); p++, i++) {
        if (i < FRACTION_DIGITS_MAX)
            out->fraction += scale * (*p - '0');
        scale /= 10;
    }
    return p;
}

static const struct unit *unit_find(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

static int quantity_parse(const char *text, const struct unit *units, uint64_t *out)
{
    struct number n;
    int err;
    const char *rest = number_read(text, &n, &err);
    const struct unit *unit;
    double fraction;

    if (rest == NULL)
        return err;
    unit = unit_find(units, rest);
    if (unit == NULL)
        return VLY_E_INVALID;
    if (unit->factor < 1) { /* bits, the only unit smaller than what it is counted in */
        *out = n.whole / 8;
        return 0;
    }
    fraction = n.fraction * unit->factor + 0.5;
    if (n.whole > (UINT64_MAX - (uint64_t)fraction) / (uint64_t)unit->factor)
        return VLY_E_LIMIT;
    *out = n.whole * (uint64_t)unit->factor + (uint64_t)fraction;
    return 0;
}

int vly_size_parse(const char *text, uint64_t *out_bytes)
{
    static const struct unit units[] = {{"", 1},
                                        {"B", 1},
                                        {"K", 1024},
                                        {"KiB", 1024},
                                        {"kB", 1e3},
                                        {"KB", 1e3},
                                        {"M", 1048576},
                                        {"MiB", 1048576},
                                        {"MB", 1e6},
                                        {"G", 1073741824},
                                        {"GiB", 1073741824},
                                        {"GB", 1e9},
                                        {"T", 1099511627776},
                                        {"TiB", 1099511627776},
                                        {"TB", 1e12},
                                        {NULL, 0}};

    return quantity_parse(text, units, out_bytes);
}

int vly_rate_parse(const char *text, uint64_t *out_bytes_per_s)
{
    static const struct unit units[] = {
        {"bit", 0.125},  {"kbit", 125}, {"Kbit", 125},    {"Mbit", 125e3},     {"Gbit", 125e6},
        {"Tbit", 125e9}, {"B", 1},      {"kB", 1e3},      {"KB", 1e3},         {"MB", 1e6},
        {"GB", 1e9},     {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
    char copy[64];
    size_t len = strlen(text);

    if (len >= sizeof(copy))
        return VLY_E_INVALID;
    if (len > 2 && strcmp(text + len - 2, "/s") == 0)
        len -= 2;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return quantity_parse(copy, units, out_bytes_per_s);
}

int vly_duration_parse(const char *text, uint64_t *out_ns)
{
    static const struct unit units[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6},
                                        {"s", 1e9},  {"", 1e9},     {"min", 6e10},
                                        {"m", 6e10}, {"h", 3.6e12}, {NULL, 0}};

    return quantity_parse(text, units, out_ns);
}

int vly_share_parse(const char *text, double *out)
{
    struct number n;
    int err;
    const char *rest = number_read(text, &n, &err);
    double value;

    if (rest == NULL)
        return err;
    value = (double)n.whole + n.fraction;
    if (strcmp(rest, "%") == 0) {
        *out = value / 100;
        return value <= 100 ? 0 : VLY_E_LIMIT;
    }
    *out = value;
    return *rest == '\0' && value < 1 ? 0 : VLY_E_INVALID;
}

int vly_number_parse(const char *text, uint64_t *out)
{
    struct number n;
    int err;
    const char *rest = number_read(text, &n, &err);

    if (rest == NULL)
        return err;
    if (*rest != '\0' || strchr(text, '.') != NULL)
        return VLY_E_INVALID;
    *out = n.whole;
    return 0;
}

/* Three significant digits: "1.50", "64.0", "940". */
static struct vly_text three_digits(double value, const char *unit)
{
    struct vly_text out;
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    (void)snprintf(out.s, sizeof(out.s), "%.*f %s", decimals, value, unit);
    return out;
}

struct vly_text vly_bytes_text(uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    struct vly_text out;
    size_t i;

    if (bytes < 1024) {
        (void)snprintf(out.s, sizeof(out.s), "%" PRIu64 " B", bytes);
        return out;
    }
    value /= 1024;
    for (i = 0; value >= 1023.5 && i + 1 < sizeof(names) / sizeof(names[0]); i++)
        value /= 1024;
    return three_digits(value, names[i]);
}

struct vly_text vly_rate_text(double bytes_per_s)
{
    static const char *const names[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
    double value = isfinite(bytes_per_s) && bytes_per_s > 0 ? bytes_per_s * 8 : 0;
    size_t i;

    for (i = 0; value >= 999.5 && i + 1 < sizeof(names) / sizeof(names[0]); i++)
        value /= 1000;
    return three_digits(value, names[i]);
}

struct vly_text vly_duration_text(uint64_t duration_ns)
{
    if (duration_ns < VLY_MS(1))
        return three_digits((double)duration_ns / 1e3, "us");
    if (duration_ns < VLY_S(1))
        return three_digits((double)duration_ns / 1e6, "ms");
    return three_digits((double)duration_ns / 1e9, "s");
}

struct vly_text vly_clock_text(uint64_t duration_ns)
{
    uint64_t s = duration_ns / VLY_S(1);
    struct vly_text out;

    if (s < 3600)
        (void)snprintf(out.s, sizeof(out.s), "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
    else
        (void)snprintf(out.s, sizeof(out.s), "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600,
                       s / 60 % 60, s % 60);
    return out;
}
