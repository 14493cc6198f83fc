// Which cores the measuring thread, and the threads a runtime starts from it, may run on.
#pragma once

#include <vector>

namespace edgeprof {

// Pins the calling thread while it lives and puts back what was there before.
class ScopedAffinity {
  public:
    // No core named: changes nothing. Throws Error(kInvalidJob) where the kernel refuses.
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
