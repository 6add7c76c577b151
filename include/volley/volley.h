/*
 * volley - everything: reliable bulk transfer over UDP with selective acknowledgements.
 */
#ifndef VOLLEY_VOLLEY_H
#define VOLLEY_VOLLEY_H

#include <volley/base.h>
#include <volley/sim.h>
#include <volley/transfer.h>
#include <volley/transport.h>

#endif
