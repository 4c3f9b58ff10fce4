"""A pulse oximeter: heart rate from a MAX30102, once a second."""

from uward import Agent, port

from app.heart import Heart
from app.max30102 import MAX30102, RATE_HZ

agent = Agent()
sensor = MAX30102(port.i2c())
heart = Heart(RATE_HZ)


@agent.sensor("heart-rate", unit="beat/min", every_s=1)
def heart_rate():
    sensor.read(heart.push)
    agent.lost = sensor.lost
    rate = heart.rate()
    return None if rate is None else round(rate, 1)


sensor.start(port.hard_timer)
agent.run()
