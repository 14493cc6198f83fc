// Ctrl-C while models are timed: sampling ends early, and what there is becomes the result.
#pragma once

namespace edgeprof {

// From now on SIGINT ends no process, but is noted; a read that waits for the next job ends.
void note_interrupts();

// Where interrupts are noted, they end no system call any more.
void restart_after_interrupts();

// Whether SIGINT came since `note_interrupts`.
bool is_interrupted() noexcept;

}  // namespace edgeprof
