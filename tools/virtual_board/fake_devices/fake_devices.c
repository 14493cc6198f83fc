// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that a virtual board lacks, as real kernel objects: a cpufreq policy over all processors,
 * a thermal zone and a power monitor like the INA3221 of a Jetson. Programs see true sysfs files:
 * writes are taken or refused by the kernel's own code.
 *
 * The world is set through /sys/module/fake_devices/parameters:
 *   soc_temp_mdegc       what the thermal zone reads
 *   freq_limit_khz       a firmware's limit on the frequency that is delivered, whatever the policy
 *                        asks for: a throttled board (0: none). scaling_cur_freq follows it
 *   rail_mv, rail_ma     voltage and current of the three rails
 */
#include <linux/cpufreq.h>
#include <linux/hwmon.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/thermal.h>
#include <linux/version.h>

static int soc_temp_mdegc = 45000;
module_param(soc_temp_mdegc, int, 0644);
static int rail_mv[3] = { 5012, 1004, 1800 };
module_param_array(rail_mv, int, NULL, 0644);
static int rail_ma[3] = { 640, 310, 95 };
module_param_array(rail_ma, int, NULL, 0644);

/* Frequencies: those of a Raspberry Pi 4. */

static struct cpufreq_frequency_table frequencies[] = {
	{ .frequency = 600000 },  { .frequency = 1000000 },
	{ .frequency = 1500000 }, { .frequency = 1800000 },
	{ .frequency = CPUFREQ_TABLE_END },
};
static unsigned int requested_khz = 1800000;
static unsigned int freq_limit_khz;

static int policy_init(struct cpufreq_policy *policy)
{
	policy->freq_table = frequencies;
	policy->cpuinfo.transition_latency = 100000;
	policy->cur = requested_khz;
	cpumask_copy(policy->cpus, cpu_possible_mask);
	return 0;
}

static unsigned int delivered_khz(unsigned int cpu)
{
	if (freq_limit_khz && freq_limit_khz < requested_khz)
		return freq_limit_khz;
	return requested_khz;
}

/* Not target_index: after that the kernel would note the frequency asked for, not the delivered. */
static int policy_target(struct cpufreq_policy *policy, unsigned int target_khz, unsigned int relation)
{
	struct cpufreq_freqs change = { .old = policy->cur };
	int index = 0;

	while (frequencies[index].frequency < target_khz &&
	       frequencies[index + 1].frequency <= policy->max)
		++index;
	requested_khz = frequencies[index].frequency;
	change.new = delivered_khz(policy->cpu);
	cpufreq_freq_transition_begin(policy, &change);
	cpufreq_freq_transition_end(policy, &change, 0);
	return 0;
}

static int limit_set(const char *text, const struct kernel_param *parameter)
{
	int error = param_set_uint(text, parameter);

	if (!error)
		cpufreq_update_policy(0); /* reads the delivered frequency anew */
	return error;
}

static const struct kernel_param_ops limit_ops = { .set = limit_set, .get = param_get_uint };
module_param_cb(freq_limit_khz, &limit_ops, &freq_limit_khz, 0644);

static struct cpufreq_driver frequency_driver = {
	.name = "fake_devices",
	.init = policy_init,
	.verify = cpufreq_generic_frequency_table_verify,
	.target = policy_target,
	.get = delivered_khz,
	.attr = cpufreq_generic_attr,
};

/* Temperature. */

static int zone_temp(struct thermal_zone_device *zone, int *temp)
{
	*temp = soc_temp_mdegc;
	return 0;
}

static struct thermal_zone_device_ops zone_ops = { .get_temp = zone_temp };
static struct thermal_zone_device *zone;

static int zone_register(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	zone = thermal_tripless_zone_device_register("cpu-thermal", NULL, &zone_ops, NULL);
#else
	zone = thermal_zone_device_register("cpu-thermal", 0, 0, NULL, &zone_ops, NULL, 0, 0);
#endif
	if (IS_ERR(zone))
		return PTR_ERR(zone);
	return thermal_zone_device_enable(zone);
}

/* Power. */

static umode_t monitor_visible(const void *data, enum hwmon_sensor_types type, u32 attribute, int channel)
{
	/* The driver of the real chip counts voltages from in1: in0 is not shown. */
	return type == hwmon_in && channel == 0 ? 0 : 0444;
}

static int monitor_read(struct device *device, enum hwmon_sensor_types type, u32 attribute, int channel,
			long *value)
{
	*value = type == hwmon_in ? rail_mv[channel - 1] : rail_ma[channel];
	return 0;
}

static int monitor_label(struct device *device, enum hwmon_sensor_types type, u32 attribute, int channel,
			 const char **label)
{
	static const char *const rails[] = { "VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC" };

	*label = rails[channel - 1];
	return 0;
}

static const struct hwmon_ops monitor_ops = {
	.is_visible = monitor_visible,
	.read = monitor_read,
	.read_string = monitor_label,
};
static const u32 voltages[] = {
	HWMON_I_INPUT, HWMON_I_INPUT | HWMON_I_LABEL, HWMON_I_INPUT | HWMON_I_LABEL, HWMON_I_INPUT | HWMON_I_LABEL, 0,
};
static const u32 currents[] = { HWMON_C_INPUT, HWMON_C_INPUT, HWMON_C_INPUT, 0 };
static const struct hwmon_channel_info voltage_channels = { .type = hwmon_in, .config = voltages };
static const struct hwmon_channel_info current_channels = { .type = hwmon_curr, .config = currents };
static const struct hwmon_channel_info *channels[] = { &voltage_channels, &current_channels, NULL };
static const struct hwmon_chip_info monitor_info = { .ops = &monitor_ops, .info = channels };
static struct platform_device *monitor_parent;
static struct device *monitor;

static int monitor_register(void)
{
	monitor_parent = platform_device_register_simple("fake_devices", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(monitor_parent))
		return PTR_ERR(monitor_parent);
	monitor = hwmon_device_register_with_info(&monitor_parent->dev, "ina3221", NULL, &monitor_info, NULL);
	if (!IS_ERR(monitor))
		return 0;
	platform_device_unregister(monitor_parent);
	return PTR_ERR(monitor);
}

static int __init fake_devices_init(void)
{
	int error = cpufreq_register_driver(&frequency_driver);

	if (error)
		return error;
	error = zone_register();
	if (error)
		goto without_frequencies;
	error = monitor_register();
	if (error)
		goto without_zone;
	return 0;

without_zone:
	thermal_zone_device_unregister(zone);
without_frequencies:
	cpufreq_unregister_driver(&frequency_driver);
	return error;
}

static void __exit fake_devices_exit(void)
{
	hwmon_device_unregister(monitor);
	platform_device_unregister(monitor_parent);
	thermal_zone_device_unregister(zone);
	cpufreq_unregister_driver(&frequency_driver);
}

module_init(fake_devices_init);
module_exit(fake_devices_exit);
MODULE_DESCRIPTION("cpufreq policy, thermal zone and power monitor for virtual boards");
MODULE_LICENSE("GPL");
