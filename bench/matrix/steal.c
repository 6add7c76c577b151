/*
 * steal - what becomes of a run whose time the machine's host gave to others.
 */
#include "bench/matrix/steal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool bench_steal_again(const struct bench_steal_rule *rule, const struct bench_sample *s,
                       unsigned times)
{
    /* what is not known is NAN, and above nothing */
    return rule->most > 0 && times < rule->retries && bench_sample_steal(s) > rule->most;
}

/* The samples of a result, all of them: the rule looks at those that failed as well. */
struct account {
    double most; /* of the rule; 0: there was none */
    double stolen_ns, all_ns, highest;
    json_int_t again, disturbed; /* runs thrown away; samples that stand above `most` */
};

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* Anybody may have written the file: what cannot be is left out, so that the sentence is short. */
static void account_sample(struct account *a, const json_t *sample)
{
    double stolen_ns = number(sample, "cpu_steal_ns"), all_ns = number(sample, "cpu_all_ns");
    json_int_t again = json_integer_value(json_object_get(sample, "taken_again"));

    if (again > 0 && again <= BENCH_STEAL_RETRIES_MAX)
        a->again += again;
    if (!json_is_number(json_object_get(sample, "cpu_steal_ns")) || all_ns <= 0 || stolen_ns < 0 ||
        stolen_ns > all_ns)
        return;
    a->stolen_ns += stolen_ns;
    a->all_ns += all_ns;
    a->highest = fmax(a->highest, stolen_ns / all_ns);
    a->disturbed += a->most > 0 && stolen_ns / all_ns > a->most;
}

void bench_steal_sentence(const json_t *doc, char out[BENCH_STEAL_BYTES])
{
    struct account a = {.most = fmin(number(doc, "max_steal"), 1)};
    size_t i, k;
    json_t *row, *sample;
    int len;

    json_array_foreach(json_object_get(doc, "rows"), i, row)
    {
        json_array_foreach(json_object_get(row, "samples"), k, sample) account_sample(&a, sample);
    }
    out[0] = '\0';
    if (a.all_ns <= 0)
        return;
    len = snprintf(out, BENCH_STEAL_BYTES,
                   "The host took %.1f %% of the processor time during the runs, at most %.1f %% "
                   "during one of them",
                   100 * a.stolen_ns / a.all_ns, 100 * a.highest);
    if (a.most > 0)
        len += snprintf(out + len, BENCH_STEAL_BYTES - (size_t)len,
                        "; %lld run%s taken again since it took over %.3g %%", (long long)a.again,
                        a.again == 1 ? " was" : "s were", 100 * a.most);
    if (a.disturbed > 0)
        len += snprintf(out + len, BENCH_STEAL_BYTES - (size_t)len,
                        ", %lld stand%s though it did each time", (long long)a.disturbed,
                        a.disturbed == 1 ? "s" : "");
    (void)snprintf(out + len, BENCH_STEAL_BYTES - (size_t)len, ".");
}
