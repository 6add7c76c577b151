#include "sim/packet_pool.h"

#include <assert.h>
#include <stdlib.h>

/* Acknowledgements; datagrams of ordinary links; of jumbo frames; the largest. */
static const size_t class_bytes[VLY_POOL_CLASSES] = {256, 2048, 9216, 65535};

void vly_pool_init(struct vly_packet_pool *p, uint64_t live_max_bytes)
{
    *p = (struct vly_packet_pool){.live_max_bytes = live_max_bytes};
}

void vly_pool_fini(struct vly_packet_pool *p)
{
    assert(p->live_bytes == 0);
    for (size_t i = 0; i < VLY_POOL_CLASSES; i++)
        while (p->unused[i] != NULL) {
            struct vly_pool_packet *packet = p->unused[i];

            p->unused[i] = packet->next;
            free(packet);
        }
}

struct vly_pool_packet *vly_pool_get(struct vly_packet_pool *p, size_t len)
{
    uint8_t size_class = 0;
    struct vly_pool_packet *packet;

    while (class_bytes[size_class] < len)
        size_class++;
    if (p->live_bytes + class_bytes[size_class] > p->live_max_bytes)
        return NULL;
    packet = p->unused[size_class];
    if (packet != NULL)
        p->unused[size_class] = packet->next;
    else if ((packet = malloc(sizeof(*packet) + class_bytes[size_class])) == NULL)
        return NULL;
    packet->size_class = size_class;
    p->live_bytes += class_bytes[size_class];
    return packet;
}

void vly_pool_put(struct vly_packet_pool *p, struct vly_pool_packet *packet)
{
    p->live_bytes -= class_bytes[packet->size_class];
    packet->next = p->unused[packet->size_class];
    p->unused[packet->size_class] = packet;
}
