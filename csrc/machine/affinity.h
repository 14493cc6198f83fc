// Which cores the measuring thread, and the threads a runtime starts from it, may run on.
#pragma once

#include <vector>

namespace edgeprof {

// Throws Error(kInvalidJob) naming the first core that this thread may not run on: of several the
// kernel silently drops those that do not exist. Once per job, before it starts.
void check_cpus(const std::vector<int>& cpus);

// Pins the calling thread while it lives and puts back what was there before.
class ScopedAffinity {
  public:
    // No core named: changes nothing. Cores that check_cpus() has let pass: this stands between
    // two blocks of inferences, where moving from core to core would cool the caches.
    explicit ScopedAffinity(const std::vector<int>& cpus);
    ~ScopedAffinity();
    ScopedAffinity(const ScopedAffinity&) = delete;
    ScopedAffinity& operator=(const ScopedAffinity&) = delete;

  private:
    std::vector<int> previous_;  // empty when nothing was changed
};

// The cores the calling thread may run on now; empty where the system does not tell.
std::vector<int> allowed_cpus();

}  // namespace edgeprof
