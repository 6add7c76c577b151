/* A datagram without its tag: arbitrary bytes as a packet (support/codec.h says what must hold). */
#include "fuzz.h"

#include "support/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)codec_packet_exercise((struct vly_span){data, size});
    return 0;
}
