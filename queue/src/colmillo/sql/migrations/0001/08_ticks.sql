-- The fire times that were taken. The primary key is what makes schedulers safe in any number.
CREATE TABLE {schema}.ticks (
    schedule text NOT NULL,
    fire_time timestamptz NOT NULL,
    PRIMARY KEY (schedule, fire_time)
)
