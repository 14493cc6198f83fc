// Reads counters on one processor, without a pause, while another switches user access off. Prints
// how many reads of the first counter the page answered before, how many of 1000 read() after, and
// how many did not go on from the one before.
#include <sched.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "timing/counters.h"

namespace {

void keep_to(unsigned cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) std::perror("sched_setaffinity");
}

// The page tells of the change once its thread is scheduled again: nothing shall take its turn.
void keep_processor() {
    const sched_param first{1};
    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0) std::perror("sched_setscheduler");
}

}  // namespace

int main() {
    std::atomic<bool> is_reading{false}, is_off{false};
    std::thread other([&] {
        keep_to(0);
        while (!is_reading) {
        }
        std::ofstream("/proc/sys/kernel/perf_user_access") << "0" << std::flush;
        is_off = true;
    });
    keep_to(1);
    keep_processor();
    edgeprof::CounterGroup counters(false, {}, "/");
    if (counters.size() == 0) return 1;
    counters.switch_on();
    long n_by_page = 0, n_by_read = 0, n_not_higher = 0;
    std::uint64_t last = 0;
    edgeprof::CounterReadings readings;
    const auto read_once = [&] {
        counters.read(readings);
        if (!readings[0].is_told || readings[0].count <= last) ++n_not_higher;
        last = readings[0].count;
        ++(readings[0].enabled_ns == 0 ? n_by_page : n_by_read);
    };
    while (!is_off) {
        read_once();
        is_reading = true;
    }
    const long n_by_page_before = n_by_page;
    n_by_read = 0;
    for (int i = 0; i < 1000; ++i) read_once();
    other.join();
    std::printf("%ld %ld %ld\n", n_by_page_before, n_by_read, n_not_higher);
    return 0;
}
