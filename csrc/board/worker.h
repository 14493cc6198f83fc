// The board's queue: `edgeprof-harness worker` works batches off, `edgeprof-harness wait` sleeps
// until that is done, `edgeprof-harness hold` keeps the board for a command.
//
// Owns: the folder of batches and the locks; of a batch, batch.h takes care.
// Measuring is the JobRunner's. The controller may go away at any moment and come back: whatever
// it needs to know stands in files.
//
//     FOLDER/worker.lock                 held while a worker of this account runs
//     FOLDER/worker.log                  last words
//     FOLDER/queue/SESSION.../           a batch, moved here whole by the controller:
//       jobs.jsonl                       one job a line
//       environment.json                 variables for the jobs, optional
//       records.jsonl                    one record a line, in the order they were made
//
// A second lock, the machine's, keeps other accounts and other owners out; its file says who holds
// it. Both are flock(2): however a worker ends, the kernel lets go, and who waits wakes up. The
// jobs' child processes inherit them: a board is free when nothing measures on it any more.
#pragma once

#include <string>
#include <vector>

#include "board/batch.h"

namespace edgeprof {

enum WorkerStatus : int {
    kWorkerDone = 0,
    kWorkerUsage = 64,  // the numbers of sysexits.h
    kWorkerIoError = 74,
    kWorkerBusy = 75,  // another owner measures here; who, stands on standard output
};

// worker --folder DIR --lock FILE --owner NAME --session ID [--detach]
// Works off the batches whose names begin with ID, then ends. With --detach it returns as soon as
// the locks are taken (or were not) and goes on in the background.
int worker_main(const std::vector<std::string>& arguments, const JobRunner& run_job);

// wait --folder DIR [--session ID] [--stop]
// Returns when no worker of this account (and session) runs; with --stop it ends the worker first.
// Silent: the process sleeps in the kernel meanwhile.
int wait_main(const std::vector<std::string>& arguments);

// hold --folder DIR --lock FILE --owner NAME --session ID -- COMMAND [ARGUMENT]...
// Runs a command while nobody can measure here, and returns its status: what disturbs a
// measurement or changes its conditions waits for the locks. What the command leaves running does
// not hold them.
int hold_main(const std::vector<std::string>& arguments);

}  // namespace edgeprof
