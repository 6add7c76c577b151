#include "ecn.h"

uint64_t vly_ecn_on_ack(struct vly_ecn_path *e, uint64_t newly_ect, bool has_counts,
                        const uint64_t counts[3])
{
    uint64_t new_ect0, new_ce;

    if (e->off)
        return 0;
    if (!has_counts) {
        if (newly_ect > 0)
            e->off = true; /* bleached: marks were sent, none arrived */
        return 0;
    }
    /* Counts never fall, except in an ACK that was overtaken: that one says nothing new. */
    if (counts[0] < e->ect0 || counts[1] < e->ect1 || counts[2] < e->ce)
        return 0;
    new_ect0 = counts[0] - e->ect0;
    new_ce = counts[2] - e->ce;
    if (counts[1] != 0 || new_ect0 + new_ce < newly_ect) {
        e->off = true; /* nobody here sends ECT(1); fewer marks than packets: forged or bleached */
        return 0;
    }
    e->ect0 = counts[0];
    e->ce = counts[2];
    return new_ce;
}
