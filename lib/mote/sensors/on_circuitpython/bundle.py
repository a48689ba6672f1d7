"""The drivers of the Adafruit bundle that sensors use: a table, which needs no board to be read."""

from collections import namedtuple

#: classes: (module, class), tried in turn until one knows the chip; all but the first name of a module's path
#: is what circup installs. addresses: where the chip may answer. values: the driver's attributes in the
#: order of a reading, each with the number of its values. rate_hz, fastest_hz: default and limit of
#: RATE_HZ. ranges: setting -> (attribute, default, {value in the settings: value of the attribute}). start:
#: (attribute, value) that are set before the first reading.
Driver = namedtuple(
    "Driver", ("classes", "addresses", "values", "unit", "rate_hz", "fastest_hz", "ranges", "start")
)

DRIVERS = {
    "lsm6ds": Driver(
        (
            ("adafruit_lsm6ds.lsm6dsox", "LSM6DSOX"),
            ("adafruit_lsm6ds.lsm6ds3trc", "LSM6DS3TRC"),
            ("adafruit_lsm6ds.lsm6ds33", "LSM6DS33"),
            ("adafruit_lsm6ds.ism330dhcx", "ISM330DHCX"),
        ),
        (0x6A, 0x6B),
        (("acceleration", 3), ("gyro", 3)),
        "",
        50,
        100,
        {
            "RANGE_G": ("accelerometer_range", 8, {2: 0, 4: 2, 8: 3, 16: 1}),
            "RANGE_DPS": ("gyro_range", 2000, {250: 0, 500: 1, 1000: 2, 2000: 3}),
        },
        (),
    ),
    "mpu6050": Driver(
        (("adafruit_mpu6050", "MPU6050"),),
        (0x68, 0x69),
        (("acceleration", 3), ("gyro", 3)),
        "",
        50,
        100,
        {
            "RANGE_G": ("accelerometer_range", 8, {2: 0, 4: 1, 8: 2, 16: 3}),
            "RANGE_DPS": ("gyro_range", 2000, {250: 0, 500: 1, 1000: 2, 2000: 3}),
        },
        (("filter_bandwidth", 4),),  # 21 Hz: what 50 readings a second can tell
    ),
    "lis3dh": Driver(
        (("adafruit_lis3dh", "LIS3DH_I2C"),),
        (0x18, 0x19),
        (("acceleration", 3),),
        "m/s²",
        50,
        100,
        {"RANGE_G": ("range", 8, {2: 0, 4: 1, 8: 2, 16: 3})},
        (("data_rate", 5),),  # 100 Hz
    ),
    "bme280": Driver(
        (("adafruit_bme280.basic", "Adafruit_BME280_I2C"),),
        (0x76, 0x77),
        (("temperature", 1), ("relative_humidity", 1), ("pressure", 1)),
        "",
        1,
        10,
        {},
        (("mode", 3),),  # goes on measuring, else each value would be waited for
    ),
    "sht4x": Driver(
        (("adafruit_sht4x", "SHT4x"),),
        (0x44, 0x45, 0x46),
        (("measurements", 2),),
        "",
        1,
        20,
        {},
        (),
    ),
}
