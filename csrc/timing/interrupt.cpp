#include "timing/interrupt.h"

#include <signal.h>

namespace edgeprof {

namespace {

volatile sig_atomic_t has_come = 0;

void on_interrupt(int) { has_come = 1; }

}  // namespace

void note_interrupts() {
    struct sigaction noted = {};
    noted.sa_handler = on_interrupt;
    sigaction(SIGINT, &noted, nullptr);
}

void restart_after_interrupts() {
    struct sigaction found = {};
    if (sigaction(SIGINT, nullptr, &found) != 0 || found.sa_handler != on_interrupt) return;
    found.sa_flags |= SA_RESTART;
    sigaction(SIGINT, &found, nullptr);
}

bool is_interrupted() noexcept { return has_come != 0; }

}  // namespace edgeprof
