#include <doctest/doctest.h>

#include "runtimes/litert/litert_profile.h"

using namespace edgeprof;

namespace {

LiteRtEvent event(const char* tag, std::uint32_t type, std::uint64_t elapsed_us) {
    LiteRtEvent made{};
    made.tag = tag;
    made.type = type;
    made.elapsed_us = elapsed_us;
    return made;
}

}  // namespace

TEST_CASE("LiteRT's events become operators in the order of execution") {
    std::vector<LiteRtEvent> events;
    for (const std::uint64_t us : {10u, 20u}) {
        events.push_back(event("Invoke", 1, 900));
        events.push_back(event("Convolution", kLiteRtDelegatedOperator, us));
        events.push_back(event("HARD_SWISH", kLiteRtOperator, us / 10));
        events.push_back(event("Convolution", kLiteRtDelegatedOperator, 2 * us));
        events.push_back(event("Invoke", 32, 4'294'967'296));  // telemetry: no duration
    }
    const std::vector<OperatorTime> operators = mean_of_events(events, 2);
    REQUIRE(operators.size() == 3);
    CHECK(operators[0].type == "Convolution");
    CHECK(operators[0].mean_ns == 15'000);
    CHECK(operators[1].type == "HARD_SWISH");
    CHECK(operators[1].mean_ns == 1'500);
    CHECK(operators[2].mean_ns == 30'000);
    CHECK(mean_of_events(events, 4).empty());  // other operators in other inferences
    CHECK(mean_of_events({}, 2).empty());
}

TEST_CASE("events of another layout are noticed") {
    std::vector<LiteRtEvent> room = room_for_events(3);
    CHECK_FALSE(are_events_whole(room, 3));  // shorter ones leave the last untouched
    for (std::size_t i = 0; i < 3; ++i) room[i] = event("op", kLiteRtOperator, 1);
    CHECK(are_events_whole(room, 3));
    room[3] = event("op", kLiteRtOperator, 1);  // longer ones run over
    CHECK_FALSE(are_events_whole(room, 3));
}
