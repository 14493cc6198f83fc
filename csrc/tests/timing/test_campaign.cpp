#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "tests/timing/fake_instruments.h"
#include "timing/campaign.h"
#include "timing/ratio_estimate.h"
#include "timing/visit_plan.h"

using namespace edgeprof;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

ItemState item(double latency_ns, double half_width = kInfinity, std::size_t n_lacking = 0) {
    return {true, false, latency_ns, 1, n_lacking, half_width};
}

ItemState reference() {
    ItemState state = item(1.5e6);
    state.is_reference = true;
    return state;
}

// How often each item is visited in n rounds.
std::vector<int> count_visits(const std::vector<ItemState>& items, int n_rounds) {
    VisitPlan plan(items.size(), 0.01, 3);
    std::vector<int> counts(items.size(), 0);
    for (int round = 0; round < n_rounds; ++round) {
        for (const Visit& visit : plan.next_round(items, 1000.0)) ++counts[visit.item];
    }
    return counts;
}

// Items on a fake machine, visited in rounds.
struct FakeCampaign {
    FakeClock clock;
    FakeInstruments instruments{clock};
    std::vector<std::unique_ptr<FakeModel>> models;
    std::vector<CampaignSubject> subjects;
    std::vector<double> latency_ns;
    std::vector<Round> rounds;
    std::vector<std::size_t> visited;
    std::map<std::size_t, std::string> failures;

    void add(std::int64_t latency_us, std::function<std::int64_t(int)> inference_us,
             bool is_reference = false) {
        models.push_back(std::make_unique<FakeModel>(clock, std::move(inference_us)));
        subjects.push_back({models.back().get(),
                            &instruments,
                            {0.01, 0.0, 1.0, 10, 1000, false, {}, 10.0, 0.1},
                            is_reference,
                            4});
        latency_ns.push_back(static_cast<double>(latency_us) * 1e3);
    }
    RoundsEnd run(double budget_secs) {
        CampaignListener listener;
        listener.on_visit = [this](std::size_t subject, double) { visited.push_back(subject); };
        listener.on_failure = [this](std::size_t subject, const std::string& failure) {
            failures[subject] = failure;
        };
        listener.on_round = [this](const Round& round) { rounds.push_back(round); };
        RatioEstimate estimate(subjects.size());
        const RoundsSettings settings{budget_secs, 0.01, 5};
        return run_rounds(subjects, latency_ns, settings, estimate, listener);
    }
    std::size_t n_timed(std::size_t subject) const {
        std::size_t n = 0;
        for (const Round& round : rounds) {
            for (const VisitSamples& visit : round.visits) {
                if (visit.item == subject) n += visit.latency_ns.size();
            }
        }
        return n;
    }
};

std::function<std::int64_t(int)> steady(std::int64_t latency_us) {
    return [latency_us](int) { return latency_us; };
}

}  // namespace

TEST_CASE("ratios are sure although the machine's speed wanders, and levels are not asked for") {
    std::mt19937_64 random(7);
    std::normal_distribution<double> noise(0.0, 0.003);
    RatioEstimate estimate(5);
    double speed = 0.0;
    for (int process = 0; process < 3; ++process) {
        estimate.start_process();
        for (int round = 0; round < 60; ++round) {
            speed += 10.0 * noise(random);
            std::vector<double> logs;
            for (int i = 0; i < 5; ++i)
                logs.push_back(std::log(1e6 * (i + 1)) + speed + noise(random));
            estimate.add_round(logs);
        }
    }
    for (const double half_width : estimate.half_widths()) {
        CHECK(half_width > 0.0002);
        CHECK(half_width < 0.003);
    }
    for (const double half_width : estimate.half_widths_here()) CHECK(half_width < 0.006);
}

TEST_CASE("an item that differs between processes is unsure, the others are not") {
    RatioEstimate estimate(4);
    for (int process = 0; process < 3; ++process) {
        estimate.start_process();
        for (int round = 0; round < 20; ++round) {
            std::vector<double> logs{1.0, 2.0, 3.0, 4.0};
            if (process == 1) logs[3] += 0.4;
            for (int i = 0; i < 4; ++i)
                logs[static_cast<std::size_t>(i)] += 0.001 * ((round * 3 + i) % 5);
            estimate.add_round(logs);
        }
    }
    const std::vector<double> half_widths = estimate.half_widths();
    CHECK(half_widths[0] < 0.01);
    CHECK(half_widths[3] > 0.1);
    CHECK(estimate.half_widths_here()[3] < 0.01);
}

TEST_CASE("few rounds tell nothing") {
    RatioEstimate estimate(2);
    CHECK(estimate.half_widths()[0] == kInfinity);
    for (int round = 0; round < 4; ++round) estimate.add_round({1.0, std::nan("")});
    CHECK(estimate.half_widths()[0] == kInfinity);
    CHECK(estimate.half_widths_here()[1] == kInfinity);
}

TEST_CASE("a round visits all that are not known well, in an order drawn anew") {
    const std::vector<ItemState> items{item(1e7), item(1e7), item(1e7), reference()};
    VisitPlan plan(items.size(), 0.01, 1);
    std::set<std::vector<std::size_t>> orders;
    for (int round = 0; round < 10; ++round) {
        std::vector<std::size_t> order;
        for (const Visit& visit : plan.next_round(items, 10.0)) {
            CHECK(visit.n_warm == 1);
            CHECK(visit.n_timed >= 2);
            order.push_back(visit.item);
        }
        CHECK(order.size() == 4);
        orders.insert(order);
    }
    CHECK(orders.size() > 3);
}

TEST_CASE("time goes where intervals are wide, and is shared out between slow and fast") {
    const std::vector<int> counts =
        count_visits({item(1e7, 0.005), item(1e7, 0.05), item(5e9), item(1e4), reference()}, 400);
    CHECK(counts[1] == 400);
    CHECK(counts[0] == 51);  // the first round, then every eighth
    CHECK(counts[2] >= 2);   // five seconds each: a hundred times the others' visits
    CHECK(counts[2] <= 10);
    CHECK(counts[3] == 400);
    CHECK(counts[4] == 400);
}

TEST_CASE("a plan ends when all is narrow or the time is over, but not while samples are lacking") {
    VisitPlan plan(2, 0.01, 1);
    CHECK(plan.next_round({item(1e7, 0.009), item(1e7, 0.001)}, 10.0).empty());
    CHECK(plan.is_content());
    CHECK(plan.next_round({item(1e7), item(1e7)}, 0.0).empty());
    CHECK_FALSE(plan.is_content());
    const std::vector<Visit> lacking = plan.next_round({item(1e7), item(1e9, kInfinity, 2)}, -5.0);
    REQUIRE(lacking.size() == 1);
    CHECK(lacking[0].item == 1);
    CHECK(lacking[0].n_warm == 0);  // a second each: there is no cache to warm
    CHECK(lacking[0].n_timed == 1);
    ItemState failed = item(1e7, kInfinity, 4);
    failed.is_alive = false;
    CHECK(plan.next_round({failed, reference()}, 10.0).empty());
}

TEST_CASE("items whose first timed inference is still slow are warmed more") {
    WarmNeed need = WarmNeed::of_item();
    for (int i = 0; i < 8; ++i) need.add({100, 100, 101, 99});
    CHECK(need.n_warm() == 1);
    for (int i = 0; i < 8; ++i) need.add({120, 100, 101, 99});
    CHECK(need.n_warm() == 2);
    for (int i = 0; i < 200; ++i) need.add({120, 100, 101, 99});
    CHECK(need.n_warm() == 5);
}

TEST_CASE("noise alone does not warm an item more") {
    WarmNeed need = WarmNeed::of_item();
    for (int i = 0; i < 8; ++i) need.add({i < 6 ? 130 : 70, 100, 100});
    CHECK(need.n_warm() == 1);
}

TEST_CASE("what noise hides in one item shows in the mass of all") {
    const auto warmed = [](int n_slower) {
        WarmNeed need = WarmNeed::of_all();
        for (int i = 0; i < 48; ++i) need.add({i < n_slower ? 103 : 96, 100, 100});
        return need.n_warm();
    };
    CHECK(warmed(35) == 2);
    CHECK(warmed(33) == 1);
}

TEST_CASE("the first round visits every item and reference, however long they take") {
    ItemState slow = reference();
    slow.latency_ns = 5e8;
    VisitPlan plan(4, 0.01, 1);
    CHECK(plan.next_round({slow, item(1e5), item(1e9), item(1e4)}, 10.0).size() == 4);
}

TEST_CASE("a process ends when its intervals are narrow, long before its budget") {
    FakeCampaign campaign;
    for (int i = 1; i <= 4; ++i) campaign.add(1000 * i, steady(1000 * i));
    campaign.add(1500, steady(1500), true);
    CHECK(campaign.run(100.0) == RoundsEnd::kInterval);
    CHECK(campaign.rounds.back().spent_secs < 2.0);
    for (std::size_t i = 0; i < 4; ++i) CHECK(campaign.n_timed(i) >= 4);
}

TEST_CASE("a process keeps to its budget, and every inference is warm, timed or accounted for") {
    FakeCampaign campaign;
    std::mt19937_64 random(1);
    for (int i = 0; i < 3; ++i) {
        campaign.add(5000,
                     [&random](int) { return 5000 + static_cast<std::int64_t>(random() % 5000); });
    }
    CHECK(campaign.run(2.0) == RoundsEnd::kBudget);
    CHECK(campaign.rounds.back().spent_secs >= 2.0);
    CHECK(campaign.rounds.back().spent_secs < 2.4);
    std::size_t n_timed = 0;
    std::int64_t last_ns = 0;
    for (const Round& round : campaign.rounds) {
        for (const VisitSamples& visit : round.visits) {
            n_timed += visit.latency_ns.size();
            CHECK(visit.begin_ns.size() == visit.latency_ns.size());
            CHECK(visit.disturbed.size() == visit.latency_ns.size());
            CHECK(visit.waited_ns.size() == visit.latency_ns.size());
            CHECK(visit.begin_ns.front() > last_ns);
            last_ns = visit.begin_ns.back();
        }
    }
    std::size_t n_run = 0;
    for (const auto& model : campaign.models) n_run += static_cast<std::size_t>(model->count());
    CHECK(n_run == n_timed + campaign.visited.size());  // one warm inference per visit
}

TEST_CASE("models of 10 us beside models of 10 s all get what a result needs") {
    FakeCampaign campaign;
    campaign.add(10, steady(10));
    campaign.add(10'000'000, [](int n) { return 10'000'000 + n % 3 * 200'000; });
    CHECK(campaign.run(1.0) == RoundsEnd::kBudget);
    CHECK(campaign.n_timed(0) >= 4);
    CHECK(campaign.n_timed(1) == 4);
}

TEST_CASE("a model whose inference fails is told and left out, the rest goes on") {
    FakeCampaign campaign;
    campaign.add(1000, steady(1000));
    campaign.add(1000, [](int n) { return n < 20 ? 1000 : -1; });
    campaign.add(1000, [](int n) { return 1000 + n % 7 * 100; });
    campaign.run(1.0);
    CHECK(campaign.failures == std::map<std::size_t, std::string>{{1, "tensor went astray"}});
    CHECK(campaign.n_timed(0) > 4);
    CHECK(campaign.n_timed(2) > 40);
    FakeCampaign alone;
    alone.add(1000, [](int) { return -1; });
    CHECK(alone.run(1.0) == RoundsEnd::kNothingLeft);
}
