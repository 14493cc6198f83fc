// The state of the machine as one JSON object: everything that bears on a measurement.
//
// Owns: which facts there are and where they stand in /proc, /sys and /etc. Facts only, no
// judgement: edgeprof/machine.py says what would spoil a measurement. A fact that is not there is
// absent. Facts that change while measuring have a cheap reader of their own: machine_watch.h.
#pragma once

#include <string>

namespace edgeprof {

// root: "/" for this machine, or the folder of a captured tree (every path is read below it; facts
// that only system calls give are then absent). Never throws: out of memory gives "{}".
std::string machine_state_json(const std::string& root) noexcept;

}  // namespace edgeprof
